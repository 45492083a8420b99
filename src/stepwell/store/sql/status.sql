-- The status of one execution. Locks: none.
select status from stepwell.execution where id = $1::uuid
