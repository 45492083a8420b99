-- Those of some executions that have ended. Locks: none.
select x.id, x.workflow, x.queue, x.status, x.reason, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from stepwell.execution x
where x.id = any($1::uuid[]) and x.finished_at is not null
