-- Remove places whose turn was long ago ($1 seconds): who had them has gone. Rows: how many. Locks: place.
with gone as (
    delete from stepwell.place
    where (connection, ticket) in (
        select connection, ticket from stepwell.place
        where turn_at < now() - $1::float8 * interval '1 second' order by turn_at limit $2::int)
    returning 1
)
select count(*)::int from gone
