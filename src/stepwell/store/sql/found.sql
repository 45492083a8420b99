-- The newest $16 executions before a place ($13, $14), and not older than $15, of those that a filter without words means,
-- by whichever indexes have the fewest of them: the plan is made for the values at hand. All workflows and statuses are
-- named so that the index of lanes can tell what is newer than $15. Locks: none.
with recursive {{workflows}}
select x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from (
    select * from stepwell.execution x
    where x.workflow = any(array(select workflow from workflows))
      and x.status = any('{pending,running,waiting,completed,failed,cancelled}'::text[])
      and x.created_at >= $15::timestamptz and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
      and {{matches}}
    order by x.created_at desc, x.id desc limit $16::int
) x join stepwell.executions v on v.id = x.id
order by x.created_at desc, x.id desc
