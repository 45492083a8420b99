-- All tokens, revoked ones too, by name. Locks: none.
select name, scope, created_by, created_at, last_used_at, expires_at, revoked_by, revoked_at
from stepwell.token order by name, created_at
