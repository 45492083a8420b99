-- One execution with the reason why it is not moving. Locks: none.
select x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from stepwell.execution x join stepwell.executions v on v.id = x.id
where x.id = $1::uuid
