-- The same as search.sql of the newest $18 that the index of words has before the place, read one after the other: for words
-- that many have, this finds a page sooner. The answer is complete down to the time that it names; null: it has all.
-- Locks: none.
with recursive {{workflows}}, newest as materialized (
    select s.execution_id as id, s.created_at, s.words from stepwell.searchable s
    where s.created_at >= $15::timestamptz and (s.created_at, s.execution_id) < ($13::timestamptz, $14::uuid)
    order by s.created_at desc, s.execution_id desc limit $18::int
), floor as materialized (
    select min(created_at) as created_at, max(created_at) as newest_at from newest having count(*) = $18::int
), {{unindexed}}, hits as (
    select id, created_at from newest where words @@ $16::text::tsquery
    union
    select id, created_at from unindexed
), page as (
    select x.*
    from (select id, created_at from hits order by created_at desc, id desc) h cross join lateral (
        select * from stepwell.execution x where x.id = h.id and {{matches}} offset 0) x
    where not exists (select from floor where h.created_at <= floor.created_at)
    order by h.created_at desc, h.id desc limit $17::int
)
select f.newest_at, f.created_at,
       x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from (select) one left join floor f on true left join page x on true left join stepwell.executions v on v.id = x.id
order by x.created_at desc, x.id desc
