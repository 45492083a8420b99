-- Refuse the token of this name from now on. Locks: token.
update stepwell.token set revoked_at = now(), revoked_by = $2::text
where name = $1::text and revoked_at is null
returning name, scope, created_by, created_at, last_used_at, expires_at, revoked_by, revoked_at
