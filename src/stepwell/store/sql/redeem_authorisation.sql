-- Take a consent that was asked for and has not expired: whoever comes second gets no row. Locks: authorisation.
with taken as (
    delete from stepwell.authorisation where state = $1::bytea
    returning state, connection, redirect_uri, verifier, binding, expires_at
)
select state, connection, redirect_uri, verifier, binding from taken where expires_at > now()
