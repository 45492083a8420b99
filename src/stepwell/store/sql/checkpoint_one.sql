-- Store one checkpoint: what a lone workflow's flush is, at half the cost of checkpoint.sql. See flush.sql for why it is
-- safe. No row: nothing was stored; checkpoint.sql says why. Locks: worker (shared).
insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
select $2::uuid, $3::text, $4::text, $5::int4, $6::boolean, $7::bytea
from (select id from stepwell.worker where id = $1::uuid and server_started_at = pg_postmaster_start_time() for key share) me
where (select x.owner from stepwell.execution x where x.id = $2::uuid) is not distinct from me.id
returning (select array_agg(x.id) from stepwell.execution x where x.owner = $1::uuid and x.is_told)
