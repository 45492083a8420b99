-- Change an application that is still as it was read ($2): a row back when it was. Its secrets may verify deliveries, which are
-- judged anew. Locks: application, intake.
with changed as (
    update stepwell.application
    set settings = $3::text::jsonb, credentials = $4::bytea, revision = revision + 1
    where name = $1::text and revision = $2::int8
    returning name
), told as (
    update stepwell.intake set revision = revision + 1 where is_only and exists (select from changed)
)
select name from changed
