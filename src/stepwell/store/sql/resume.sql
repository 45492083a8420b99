-- Let a paused execution go on where it was. What has come or fallen due meanwhile is due now, not at the time at which it
-- would have been: workers do not look far behind the newest one that they took. Locks: execution.
with done as (
    update stepwell.execution x
    set paused_at = null, paused_by = null, is_told = false,
        due_at = case when x.due_at < now() then now() else x.due_at end
    where x.id = $1::uuid and x.paused_at is not null and x.finished_at is null
    returning x.status, x.id
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select id, $2::text, 'resume', $3::text from done
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from done) and exists (select from stepwell.worker where is_idle)
)
select status, (select count(*) from hint) from done
