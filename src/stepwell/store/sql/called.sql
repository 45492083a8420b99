-- The children that were started by these calls of their parents. Locks: none.
select n.place, x.id, x.workflow, x.status, x.input, x.result, x.error, x.reason, x.finished_at
from unnest($1::uuid[], $2::text[]) with ordinality as n(parent_id, key, place)
join stepwell.execution x on x.parent_id = n.parent_id and x.parent_key = n.key
