-- Let a budget be as full as the vendor says: full again in $3 seconds. While somebody has a place, never fuller than it
-- was: what those will use is not known to the vendor yet. Locks: budget.
insert into stepwell.budget as b (connection, name, full_at)
values ($1::text, $2::text, now() + $3::float8 * interval '1 second')
on conflict (connection, name) do update
set full_at = case when exists (select from stepwell.place where connection = $1::text)
                   then greatest(b.full_at, excluded.full_at) else excluded.full_at end
