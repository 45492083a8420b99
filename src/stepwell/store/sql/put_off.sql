-- Try again later to decide about an event, and keep what went wrong. Locks: dispatch.
update stepwell.dispatch
set ready_at = now() + $6::float8 * interval '1 second', error = $5::text
where trigger = $1::text and name = $2::text and address = $3::text and number = $4::int8
