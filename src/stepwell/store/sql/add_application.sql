-- Add an application, unless its name is taken: a row back when it was added. Deliveries are judged anew. Locks: application, intake.
with added as (
    insert into stepwell.application (name, connector, kind, settings, credentials)
    values ($1::text, $2::text, $3::text, $4::text::jsonb, $5::bytea)
    on conflict (name) do nothing
    returning name
)
select name from added
