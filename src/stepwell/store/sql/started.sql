-- Those of the workflows $1 and keys $2 for which there is an execution. Locks: none.
select n.workflow, n.key
from unnest($1::text[], $2::text[]) as n(workflow, key)
where exists (select from stepwell.execution e where e.workflow = n.workflow and e.key = n.key)
