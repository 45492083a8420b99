-- Extend a lease by the store's clock and say which owned executions are being cancelled or paused; no row: the session has
-- ended. Null: it has ended with its server, and lasts only until what it owns is handed back, which is no crash.
-- Locks: worker, not in conflict with writes in flight.
update stepwell.worker set expires_at = now() + $2::float8 * interval '1 second'
where id = $1::uuid
returning case when server_started_at = pg_postmaster_start_time()
               then array(select x.id from stepwell.execution x where x.owner = $1::uuid and x.is_told) end
