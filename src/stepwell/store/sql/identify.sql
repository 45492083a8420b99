-- The token with this digest, if it is good now, and whether there are tokens at all. That it was used is noted once a
-- minute at most. Locks: token.
with used as (
    update stepwell.token set last_used_at = now()
    where digest = $1::bytea and revoked_at is null and (expires_at is null or expires_at > now())
      and (last_used_at is null or last_used_at < now() - interval '1 minute')
)
select exists (select from stepwell.token) as has_tokens, t.name, t.scope, t.created_by, t.created_at, t.last_used_at,
       t.expires_at, t.revoked_by, t.revoked_at
from (select) one left join stepwell.token t
  on t.digest = $1::bytea and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
