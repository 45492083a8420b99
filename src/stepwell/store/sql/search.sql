-- The newest $17 executions before a place ($13, $14), and not older than $15, of those that a filter with words means. $16
-- is what the index of words is asked; of what it names, those that have all words ($18; a function, which no index is asked
-- for) are looked at newest first, until the page is full. Locks: none.
with recursive {{workflows}}, {{unindexed}}, hits as (
    select s.execution_id as id, s.created_at from stepwell.searchable s
    where s.words @@ $16::text::tsquery and ts_match_vq(s.words, $18::text::tsquery)
      and s.created_at >= $15::timestamptz and (s.created_at, s.execution_id) < ($13::timestamptz, $14::uuid)
    union
    select id, created_at from unindexed
), page as (
    select x.*
    from (select id, created_at from hits order by created_at desc, id desc) h cross join lateral (
        select * from stepwell.execution x where x.id = h.id and {{matches}} offset 0) x
    order by h.created_at desc, h.id desc limit $17::int
)
select x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from page x join stepwell.executions v on v.id = x.id
order by x.created_at desc, x.id desc
