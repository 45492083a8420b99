-- A page of what was done to one execution, or to all, newest first: each by an index of its own. Locks: none.
select a.number, a.done_at, a.execution_id, a.actor, a.action, a.detail
from (
    (select * from stepwell.audit a where a.execution_id = $1::uuid and a.number < $2::int8 order by a.number desc limit $3::int)
    union all
    (select * from stepwell.audit a where $1::uuid is null and a.number < $2::int8 order by a.number desc limit $3::int)
) a
order by a.number desc
