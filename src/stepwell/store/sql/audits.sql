-- A page of what was done to executions, newest first. Locks: none.
select a.number, a.done_at, a.execution_id, a.actor, a.action, a.detail from stepwell.audit a
where ($1::uuid is null or a.execution_id = $1::uuid) and a.number < $2::int8
order by a.number desc limit $3::int
