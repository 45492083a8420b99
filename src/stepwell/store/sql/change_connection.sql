-- Change a connection that is still as it was read ($2). One that is ok now lets go on who waits for it: executions that wait are
-- due at once, those that run find their `signals` moved when they would park. Who began to wait since this statement's snapshot
-- was taken cannot be seen, but has raised `needs`: then nothing is changed, and the caller asks again.
-- `is_there` false: it was changed or removed meanwhile. With $11 deliveries are judged anew.
-- Locks: connection, execution in the order of the ids, intake.
with seen as materialized (
    select c.name, c.needs from stepwell.connection c where c.name = $1::text and c.revision = $2::int8
), changed as (
    update stepwell.connection c
    set settings = $3::text::jsonb, credentials = $4::bytea, hook_secrets = $5::bytea, status = $6::text, error = $7::text,
        expires_at = $8::timestamptz, refreshed_at = $9::timestamptz, application = $10::text, renewing_at = null,
        revision = c.revision + 1
    from seen s
    where c.name = s.name and c.revision = $2::int8 and ($6::text <> 'ok' or c.needs = s.needs)
    returning c.name
), told as (
    update stepwell.intake set revision = revision + 1 where is_only and $11::boolean and exists (select from changed)
), freed as materialized (
    select x.id from stepwell.execution x
    where $6::text = 'ok' and exists (select from changed)
      and x.id = any(array(select n.execution_id from stepwell.need n where n.connection = $1::text))
    order by uuid_send(x.id) for no key update of x
), woken as (
    update stepwell.execution x
    set signals = x.signals + 1,
        status = case when x.status = 'waiting' then 'pending' else x.status end,
        due_at = case when x.status = 'waiting' then now() else x.due_at end,
        reason = case when x.status = 'waiting' then 'connection ''' || $1::text || ''' is ok again' else x.reason end
    from freed f
    where x.id = f.id and x.finished_at is null
    returning x.due_at <= now() as is_due
), forgotten as (
    delete from stepwell.need n where $6::text = 'ok' and n.connection = $1::text and exists (select from changed)
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from woken where is_due) and exists (select from stepwell.worker where is_idle)
)
select exists (select from changed) as is_done, exists (select from seen) as is_there, (select count(*) from woken) as woken,
       (select count(*) from hint)
