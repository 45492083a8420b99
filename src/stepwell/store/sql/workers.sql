-- The worker sessions, also those that have expired and were not ended yet, and how much each runs. Locks: none.
select w.name, w.workflows, w.queues, w.is_idle, w.started_at, w.expires_at, w.expires_at > now() as is_alive,
       (select count(*)::int from stepwell.execution e where e.owner = w.id) as running
from stepwell.worker w order by w.name, w.started_at
