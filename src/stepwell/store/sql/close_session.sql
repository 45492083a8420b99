-- End a session and hand back what it owns; what somebody asked to cancel ends as cancelled. `held` takes the locks in the
-- order of the ids, as every statement that changes several executions does (and sorts by the id's bytes, so that no plan
-- walks the primary key for the order). Locks: worker (waits for this session's writes in flight), execution.
with ended as (
    delete from stepwell.worker where id = $1::uuid returning id
), held as materialized (
    select e.id from stepwell.execution e where e.owner in (select id from ended) order by uuid_send(e.id) for update
), freed as (
    update stepwell.execution e
    set owner = null,
        status = case when e.cancel_requested_at is null then 'pending' else 'cancelled' end,
        due_at = case when e.cancel_requested_at is null then now() end,
        finished_at = case when e.cancel_requested_at is not null then now() end,
        reason = case when e.cancel_requested_at is null then 'handed back' else e.reason end
    from held
    where e.id = held.id
    returning e.status, e.is_awaited
), hint as (
    select pg_notify('stepwell', kind)
    from (select case when status = 'pending' then 'work' else 'done' end as kind from freed
          where status = 'pending' or is_awaited group by 1) hints
)
select (select count(*) from freed), (select count(*) from hint)
