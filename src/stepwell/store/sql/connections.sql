-- One connection, or all by their names. Locks: none.
select name, connector, application, settings, credentials, hook_secrets, status, error, expires_at, refreshed_at, renewing_at,
       checked_at, check_error, revision
from stepwell.connection
where $1::text is null or name = $1::text
order by name
