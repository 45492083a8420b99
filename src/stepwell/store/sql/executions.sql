-- A page of executions, newest first: ids are UUIDv7, so the primary key is the order of time. Locks: none.
select x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at
from (
    select * from stepwell.execution
    where (cardinality($1::text[]) = 0 or status = any($1::text[]))
      and ($2::text is null or workflow = $2::text)
      and ($3::text is null or key = $3::text)
      and ($4::text is null or $4::text = any(tags))
      and ($5::uuid is null or id < $5::uuid)
    order by id desc limit $6::int
) x join stepwell.executions v on v.id = x.id
order by x.id desc
