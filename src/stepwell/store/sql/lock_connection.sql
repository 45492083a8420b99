-- One connection as it is now; until the end of the transaction nobody else changes or renews it. Locks: connection.
select name, connector, application, settings, credentials, hook_secrets, status, error, expires_at, refreshed_at, renewing_at,
       checked_at, check_error, revision
from stepwell.connection
where name = $1::text
for no key update
