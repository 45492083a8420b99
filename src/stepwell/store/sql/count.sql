-- How many executions have each status, of those that a filter without words means. Locks: none.
with recursive {{workflows}}
select x.status, count(*) from stepwell.execution x
where x.workflow = any(array(select workflow from workflows)) and {{matches}}
group by x.status
