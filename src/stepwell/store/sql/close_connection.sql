-- Let a connection admit nobody for $2 seconds, unless it is closed for longer already. Locks: budget.
insert into stepwell.budget as b (connection, name, opens_at, reason)
values ($1::text, '', now() + $2::float8 * interval '1 second', $3::text)
on conflict (connection, name) do update set opens_at = excluded.opens_at, reason = excluded.reason
where b.opens_at is null or b.opens_at < excluded.opens_at
