-- How many executions have each status. Locks: none.
select status, count(*) from stepwell.execution group by status
