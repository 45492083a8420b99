-- What no living worker can run: (workflow, queue, executions), the most first. Locks: none.
select e.workflow, e.queue, count(*)
from stepwell.execution e where e.due_at is not null and e.paused_at is null
group by e.workflow, e.version, e.queue
having not exists (
    select from stepwell.worker w
    where coalesce(e.workflow || '@' || e.version, e.workflow) = any(w.workflows) and e.queue = any(w.queues) and w.expires_at > now())
order by count(*) desc, e.workflow, e.queue limit 5
