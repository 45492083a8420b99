-- What workers do beside executions, and how far behind they are: how many ended executions are not in the index of words
-- (100,000 at most are counted) and since when, how many removed ones have steps still to go, when the earliest execution
-- that is kept has ended. Locks: none.
with recursive workflows(workflow) as (
    (select x.workflow from stepwell.execution x order by x.workflow limit 1)
    union all
    select (select x.workflow from stepwell.execution x where x.workflow > w.workflow order by x.workflow limit 1)
    from workflows w where w.workflow is not null
), unindexed as (
    select n.finished_at
    from stepwell.upkeep u cross join workflows w cross join lateral (
        select x.finished_at from stepwell.execution x
        where x.workflow = w.workflow and x.finished_at > u.reached_at order by x.finished_at limit 100000) n
    limit 100000
)
select (select count(*) from unindexed),
       now() - (select min(finished_at) from unindexed),
       (select count(*) from stepwell.leftover),
       now() - (select min(e.finished_at) from workflows w cross join lateral (
           select x.finished_at from stepwell.execution x
           where x.workflow = w.workflow and x.finished_at is not null order by x.finished_at limit 1) e)
