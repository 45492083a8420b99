-- Store one checkpoint inside a step's own transaction. Until that commits, its lock keeps the session from being ended: a
-- worker that is frozen just then would hold up all that it owns, so the server waits for the commit for seconds only.
-- Locks: worker (shared), execution (shared).
with me as materialized (
    select w.id from stepwell.worker w join stepwell.execution x on x.owner = w.id
    where w.id = $1::uuid and w.server_started_at = pg_postmaster_start_time() and x.id = $2::uuid
    for key share of w for share of x
)
insert into stepwell.checkpoint (recorded_at, execution_id, key, kind, digest, is_failure, value)
select clock_timestamp(), $2::uuid, $3::text, $4::text, $5::int4, false, $6::bytea from me
returning set_config('idle_in_transaction_session_timeout', '5s', true)
