-- Pause an execution: no worker claims it any more, and one that runs it hands it back at its next durable call. A row back:
-- it is paused, by whoever was first; only that is noted. Locks: execution.
with done as (
    update stepwell.execution x
    set paused_at = coalesce(x.paused_at, now()),
        paused_by = coalesce(x.paused_by, $2::text),
        is_told = x.owner is not null
    where x.id = $1::uuid and x.finished_at is null and x.cancel_requested_at is null
    returning x.status, x.id, x.paused_at = now() as is_first
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select id, $2::text, 'pause', $3::text from done where is_first
)
select status from done
