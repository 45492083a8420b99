-- Answer a callback, once, in time, and while its execution has not ended: it is noted who did, and the event goes into the
-- outbox, addressed to the execution; both or neither. Of two that answer at once the second one waits, and changes nothing.
-- An execution that is just ending is waited for. Answers whether it was done. Locks: execution (shared: it does not end
-- meanwhile), then callback.
with alive as materialized (
    select x.id from stepwell.execution x
    where x.id = (select c.execution_id from stepwell.callback c where c.id = $1::uuid) and x.finished_at is null
    for share
), answered as (
    update stepwell.callback c set answered_at = clock_timestamp(), answered_by = $2::text
    from alive
    where c.id = $1::uuid and c.answered_at is null and c.expires_at > clock_timestamp()
    returning c.execution_id, c.name
), posted as (
    insert into stepwell.outbox (name, address, id, payload)
    select a.name, 'x:' || a.execution_id, 'callback ' || $1::uuid, $3::bytea from answered a
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select a.execution_id, coalesce($2::text, 'unknown'), 'answer', a.name from answered a
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from answered) and exists (select from stepwell.worker where is_idle)
)
select exists (select from answered), (select count(*) from hint)
