-- Which of some executions are there. Locks: none.
select id from stepwell.execution where id = any($1::uuid[])
