-- Complete one execution whose end is nobody else's business: nobody has asked to cancel it, no parent waits for it, and
-- it leaves neither called children nor registered waits behind. What a lone workflow ends with, at a third of the cost of
-- flush.sql, which says why it is safe. No row: nothing was changed; flush.sql does it, or says why not.
-- Locks: worker (shared), execution.
update stepwell.execution x
set owner = null, crashes = 0, status = 'completed', due_at = null, finished_at = now(), result = $3::bytea,
    error = null, reason = null, failed_steps = null, paused_at = null, paused_by = null
from (select id from stepwell.worker where id = $1::uuid and server_started_at = pg_postmaster_start_time() for key share) me
where x.id = $2::uuid and x.owner is not distinct from me.id
  and x.cancel_requested_at is null and not x.is_called
  and not exists (select from stepwell.execution c where c.parent_id = x.id and c.is_called and c.finished_at is null)
  and not exists (select from stepwell.wait w where w.execution_id = x.id)
returning case when x.is_awaited then pg_notify('stepwell', 'done') end,
          (select array_agg(o.id) from stepwell.execution o where o.owner = $1::uuid and o.is_told and o.id <> $2::uuid)
