-- Begin a worker session. Locks: none.
insert into stepwell.worker (id, name, workflows, queues, expires_at)
values ($1::uuid, $2::text, $3::text[], $4::text[], now() + $5::float8 * interval '1 second')
