-- Store a token, unless one that is not revoked has its name. Locks: token.
insert into stepwell.token (id, digest, name, scope, created_by, expires_at)
values ($1::uuid, $2::bytea, $3::text, $4::text, $5::text, now() + make_interval(secs => $6::float8))
on conflict (name) where revoked_at is null do nothing
returning name, scope, created_by, created_at, last_used_at, expires_at, revoked_by, revoked_at
