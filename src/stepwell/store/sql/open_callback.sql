-- Make a callback, or find it made already by the same call: answers until when it can be answered, as the first one said. No
-- row: there is no such execution. Locks: callback.
insert into stepwell.callback as c (id, execution_id, key, name, prompt, schema, expires_at)
select $1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::bytea, $7::timestamptz
where exists (select from stepwell.execution x where x.id = $2::uuid)
on conflict (id) do update set id = excluded.id
returning c.expires_at
