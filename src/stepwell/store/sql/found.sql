-- The newest $15 executions before a place ($13, $14) of those that a filter without words means, by whichever index has
-- the fewest of them: the plan is made for the values at hand. Locks: none.
with recursive {{workflows}}
select x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from (
    select * from stepwell.execution x
    where x.workflow = any(array(select workflow from workflows))
      and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
      and {{matches}}
    order by x.created_at desc, x.id desc limit $15::int
) x join stepwell.executions v on v.id = x.id
order by x.created_at desc, x.id desc
