-- Make a failed, cancelled or parked execution due now, and with it the children that it has called and that ended because
-- it did, or whose failure ended it, and theirs. One that had ended begins its timeout anew; a deadline that has passed no
-- longer holds. Steps whose failure ended it run again with fresh attempts; waits for a retry end. A paused one stays paused.
-- `held` has the newest versions: if the first one has moved on meanwhile, none of them is changed.
-- Locks: execution in the order of the ids, then checkpoint and attempt rows.
with recursive tree as (
    select x.id, x.failed_steps from stepwell.execution x
    where x.id = $1::uuid
      and (x.status in ('failed', 'cancelled') or (x.status = 'pending' and x.passes > 0 and x.cancel_requested_at is null))
    union all
    select c.id, c.failed_steps from tree t join stepwell.execution c on c.parent_id = t.id
    where c.is_called and c.status in ('failed', 'cancelled')
      and (c.parent_key = any(t.failed_steps) or c.cancel_reason = 'its parent has ended')
), held as materialized (
    select e.id, e.failed_steps from stepwell.execution e
    where e.id = any(array(select id from tree))
      and (e.status in ('failed', 'cancelled')
           or (e.id = $1::uuid and e.status = 'pending' and e.passes > 0 and e.cancel_requested_at is null))
    order by uuid_send(e.id) for update
), found as materialized (
    select id, failed_steps from held where exists (select from held where id = $1::uuid)
), forgotten as (
    delete from stepwell.checkpoint c using found f
    where c.execution_id = f.id and c.is_failure and c.key = any(f.failed_steps)
), afresh as (
    delete from stepwell.attempt a using found f
    where a.execution_id = f.id and a.key = any(f.failed_steps)
), hurried as (
    update stepwell.attempt a set retry_at = now() from found f
    where a.execution_id = f.id and a.retry_at > now() and a.key <> all(coalesce(f.failed_steps, '{}'))
), noted as (
    insert into stepwell.audit (execution_id, actor, action)
    select f.id, $2::text, 'retry' from found f where f.id = $1::uuid and $2::text is not null
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from stepwell.worker where is_idle)
), done as (
    update stepwell.execution x
    set status = 'pending', due_at = now(), finished_at = null, cancel_requested_at = null, cancel_reason = null, crashes = 0,
        error = null, failed_steps = null, reason = 'retried by hand', is_told = false,
        deadline_at = case when x.deadline_at > now() then x.deadline_at end,
        started_at = case when x.finished_at is null then x.started_at end
    from found f
    where x.id = f.id and (select count(*) from hint) >= 0
    returning x.id, x.status
)
select status from done where id = $1::uuid
