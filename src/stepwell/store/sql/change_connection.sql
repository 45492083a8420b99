-- Change a connection that is still as it was read ($2). One that is ok now lets go on who waits for it. Who began to wait since
-- this statement's snapshot was taken cannot be seen, but has raised `needs`: then nothing is changed, and the caller asks again.
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
), over as materialized (
    select 'is ok again' as why from changed where $6::text = 'ok'
), {{released}}
select exists (select from changed) as is_done, exists (select from seen) as is_there, (select count(*) from woken) as woken,
       (select count(*) from hint)
