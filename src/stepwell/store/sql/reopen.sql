-- Make a failed, cancelled or parked execution due now. One that had ended begins its timeout anew; a deadline
-- that has passed no longer holds. Steps whose failure ended it run again with fresh attempts; waits for a retry end.
-- Locks: execution, then its checkpoint and attempt rows.
with found as materialized (
    select id, failed_steps from stepwell.execution
    where id = $1::uuid
      and (status in ('failed', 'cancelled') or (status = 'pending' and passes > 0 and cancel_requested_at is null))
    for update
), forgotten as (
    delete from stepwell.checkpoint c using found f
    where c.execution_id = f.id and c.is_failure and c.key = any(f.failed_steps)
), afresh as (
    delete from stepwell.attempt a using found f
    where a.execution_id = f.id and a.key = any(f.failed_steps)
), hurried as (
    update stepwell.attempt a set retry_at = now() from found f
    where a.execution_id = f.id and a.retry_at > now() and a.key <> all(coalesce(f.failed_steps, '{}'))
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from stepwell.worker where is_idle)
)
update stepwell.execution x
set status = 'pending', due_at = now(), finished_at = null, cancel_requested_at = null, cancel_reason = null, crashes = 0,
    error = null, failed_steps = null, reason = 'retried by hand', started_at = case when x.finished_at is null then x.started_at end,
    deadline_at = case when x.deadline_at > now() then x.deadline_at end
from found f
where x.id = f.id and (select count(*) from hint) >= 0
returning x.status
