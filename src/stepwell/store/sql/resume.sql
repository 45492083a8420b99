-- Let a paused execution go on where it was: what has come or fallen due meanwhile is due now. Locks: execution.
with done as (
    update stepwell.execution x
    set paused_at = null, paused_by = null, is_told = x.cancel_requested_at is not null
    where x.id = $1::uuid and x.paused_at is not null and x.finished_at is null
    returning x.status, x.id
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select id, $2::text, 'resume', $3::text from done
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from done) and exists (select from stepwell.worker where is_idle)
)
select status, (select count(*) from hint) from done
