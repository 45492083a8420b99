-- For how long the oldest execution has been due that a living worker could run; null when none is due. Locks: none.
select now() - min(e.due_at)
from stepwell.execution e
where e.due_at <= now() and e.paused_at is null and exists (
    select from stepwell.worker w
    where coalesce(e.workflow || '@' || e.version, e.workflow) = any(w.workflows) and e.queue = any(w.queues) and w.expires_at > now())
