-- Add a connection, unless its name is taken: a row back when it was added. Deliveries are judged anew.
-- Locks: application (shared), connection, intake.
with added as (
    insert into stepwell.connection (name, connector, application, settings, credentials, hook_secrets, status, error, expires_at, refreshed_at)
    values ($1::text, $2::text, $3::text, $4::text::jsonb, $5::bytea, $6::bytea, $7::text, $8::text, $9::timestamptz, $10::timestamptz)
    on conflict (name) do nothing
    returning name
), told as (
    update stepwell.intake set revision = revision + 1 where is_only and exists (select from added)
)
select name from added
