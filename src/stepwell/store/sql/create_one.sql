-- Accept one execution, at two thirds of the cost of create.sql. No row: its id or its key is there already, and nothing was
-- changed; create.sql says what stands there. Waits for a concurrent start of the same key. Workers that wait for work get
-- one hint. Locks: none.
insert into stepwell.execution (id, workflow, queue, key, tags, input, due_at, is_awaited, deadline_at)
values ($1::uuid, $2::text, $3::text, $4::text, case when $5::text <> '' then string_to_array($5::text, E'\n') end,
        $6::bytea, least(now() + $7::float8 * interval '1 second', $9::timestamptz, now() + nullif($10::float8, 0) * interval '1 second'),
        $8::boolean, coalesce($9::timestamptz, now() + nullif($10::float8, 0) * interval '1 second'))
on conflict do nothing
returning (select pg_notify('stepwell', 'work') where exists (select from stepwell.worker where is_idle))
