-- When an execution was created. Locks: none.
select created_at from stepwell.execution where id = $1::uuid
