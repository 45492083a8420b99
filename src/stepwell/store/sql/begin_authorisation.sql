-- Note that a person is asked for consent, and forget those who were asked too long ago. Locks: authorisation.
with old as (
    delete from stepwell.authorisation where expires_at < now()
)
insert into stepwell.authorisation (state, connection, redirect_uri, verifier, binding, expires_at)
values ($1::bytea, $2::text, $3::text, $4::bytea, $5::bytea, now() + make_interval(secs => $6::float8))
