-- Ask to be told when executions end, and answer those that have: by the newest version of each row, which the update has
-- locked, so that no end falls between the question and the request. Locks: execution, in the order of the ids.
update stepwell.execution x set is_awaited = true
from (select id from stepwell.execution where id = any($1::uuid[]) order by id for update) d
where x.id = d.id
returning x.id, x.workflow, x.queue, x.status, x.reason, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
          x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
