-- End an execution that nobody runs; ask the worker of one that runs. The decision is made in SET, on the newest version of
-- the row. A row back says whether it is, or will be, cancelled. Locks: execution.
with done as (
    update stepwell.execution x
    set cancel_requested_at = coalesce(x.cancel_requested_at, now()),
        reason = $2::text,
        status = case when x.owner is null then 'cancelled' else x.status end,
        due_at = null,
        finished_at = case when x.owner is null then now() end
    where x.id = $1::uuid and x.finished_at is null
    returning x.status, x.is_awaited and x.finished_at is not null as is_awaited
), hint as (
    select pg_notify('stepwell', 'done') where exists (select from done where is_awaited)
)
select status, (select count(*) from hint) from done
