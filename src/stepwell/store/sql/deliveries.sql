-- A page of the deliveries that are meant, newest first, without what they say: those before the delivery $5, or before the
-- time $6 if that one has gone. Locks: none.
select v.id, v.received_at, v.source, v.connection, v.type, v.dedupe_key, v.subject, v.executions, v.duplicates, v.is_reconciled
from stepwell.delivery v
where (v.received_at, v.id) < (
          coalesce((select b.received_at from stepwell.delivery b where b.id = $5::uuid), $6::timestamptz, 'infinity'),
          coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
  and v.source = coalesce($1::text, v.source) and v.connection = coalesce($2::text, v.connection)
  and v.type = coalesce($3::text, v.type) and v.is_reconciled = coalesce($4::boolean, v.is_reconciled)
order by v.received_at desc, v.id desc limit $7::int
