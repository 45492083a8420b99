-- Note what a check of a connection has found: a row back when it is there. Locks: connection.
update stepwell.connection set checked_at = now(), check_error = $2::text where name = $1::text returning name
