-- Who waits for events: of one execution, of one name, of one address, if these are given. Locks: none.
select w.execution_id, w.key, w.name, w.address, x.workflow, x.status, x.due_at
from stepwell.wait w join stepwell.execution x on x.id = w.execution_id
where ($1::uuid is null or w.execution_id = $1::uuid)
  and ($2::text is null or w.name = $2::text)
  and ($3::text is null or w.address = $3::text)
order by w.execution_id, w.key, w.name, w.address limit $4::int
