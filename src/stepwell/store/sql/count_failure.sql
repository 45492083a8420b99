-- Count a failure of a connection; from the $2nd in a row on it is closed: for $3 seconds, twice as long each time, at most
-- $4. Rows: how many in a row. Locks: budget.
insert into stepwell.budget as b (connection, name, failures) values ($1::text, '', 1)
on conflict (connection, name) do update
set failures = b.failures + 1,
    (opens_at, reason) = (
        select case when c.until > b.opens_at or b.opens_at is null then c.until else b.opens_at end,
               case when c.until > b.opens_at or b.opens_at is null then c.reason else b.reason end
        from (select case when b.failures + 1 >= $2::int
                          then now() + least($3::float8 * 2 ^ least(b.failures + 1 - $2::int, 10), $4::float8) * interval '1 second'
                     end as until,
                     case when b.failures + 1 >= $2::int then b.failures + 1 || ' failures in a row' end as reason) c)
returning failures
