-- Store checkpoints only: what nearly every flush is, at two thirds of its cost. See flush.sql for why it is safe.
-- Locks: worker (shared).
with me as materialized (
    select id from stepwell.worker where id = $1::uuid and server_started_at = pg_postmaster_start_time() for key share
), cp as (
    insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
    select n.execution_id, n.key, n.kind, n.digest, n.is_failure, n.value
    from me cross join unnest($2::uuid[], $3::text[], $4::text[], $5::int4[], $6::boolean[], $7::bytea[])
        as n(execution_id, key, kind, digest, is_failure, value)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id
)
select exists (select from me),
       case when (select count(*) from cp) < cardinality($2::uuid[])
            then array(select unnest($2::uuid[]) except select execution_id from cp) end,
       array(select x.id from stepwell.execution x where x.owner = $1::uuid and x.is_told)
