-- End a session and hand back what it owns, also what somebody asked to cancel: its clean-up goes on elsewhere. `held`
-- takes the locks in the order of the ids, as every statement that changes several executions does (and sorts by the id's
-- bytes, so that no plan walks the primary key for the order). Locks: worker (waits for this session's writes in flight), execution.
with ended as (
    delete from stepwell.worker where id = $1::uuid returning id
), held as materialized (
    select e.id from stepwell.execution e where e.owner in (select id from ended) order by uuid_send(e.id) for update
), freed as (
    update stepwell.execution e
    set owner = null,
        status = 'pending',
        due_at = now(),
        reason = 'handed back'
    from held
    where e.id = held.id
    returning e.id
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from freed)
)
select (select count(*) from freed), (select count(*) from hint)
