-- End a session and hand back what it owns. Locks: worker (waits for this session's writes in flight), execution.
with ended as (
    delete from stepwell.worker where id = $1::uuid returning id
)
update stepwell.execution e
set owner = null, status = 'pending', due_at = now(), reason = 'handed back'
from ended
where e.owner = ended.id
