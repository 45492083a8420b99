-- Extend a lease by the store's clock; no row: the session has ended. Locks: worker, not in conflict with writes in flight.
update stepwell.worker set expires_at = now() + $2::float8 * interval '1 second'
where id = $1::uuid
returning true
