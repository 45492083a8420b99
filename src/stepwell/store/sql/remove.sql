-- Remove up to $3 executions whose workflow keeps them for so many seconds after their end, the earliest ended first. A child
-- stays as long as its parent may still go on and ask for it. One that is locked is left for the next time: this waits for
-- nobody. What is stored of their steps goes later, in pieces of its own (see sweep.sql): once its row has gone, nobody
-- can take an execution up again. Locks: execution (skipped when taken).
with old as materialized (
    select x.id from unnest($1::text[], $2::float8[]) as k(workflow, seconds) cross join lateral (
        select x.id from stepwell.execution x
        where x.workflow = k.workflow and x.finished_at < now() - k.seconds * interval '1 second'
          and not exists (select from stepwell.execution p where p.id = x.parent_id and p.status <> 'completed')
        order by x.finished_at limit $3::int for update skip locked) x
    limit $3::int
), gone as (
    delete from stepwell.execution where id in (select id from old) returning id
), left_over as (
    insert into stepwell.leftover (execution_id) select id from gone
)
select count(*)::int from gone
