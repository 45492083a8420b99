-- Store checkpoints, and complete executions whose end is nobody else's business: what most flushes are once executions end,
-- at two thirds of the cost of flush.sql, which says why it is safe. An end that complete_one.sql would leave alone is left
-- alone here, too, and named as left; flush.sql does it, or says why not.
-- Locks: worker (shared), execution in the order of the ids.
with me as materialized (
    select id from stepwell.worker where id = $1::uuid and server_started_at = pg_postmaster_start_time() for key share
), cp as (
    insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
    select n.execution_id, n.key, n.kind, n.digest, n.is_failure, n.value
    from me cross join unnest($2::uuid[], $3::text[], $4::text[], $5::int4[], $6::boolean[], $7::bytea[])
        as n(execution_id, key, kind, digest, is_failure, value)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id
), fin as (
    update stepwell.execution x
    set owner = null, crashes = 0, status = 'completed', due_at = null, finished_at = now(), result = n.result,
        error = null, reason = null, failed_steps = null, paused_at = null, paused_by = null
    from me cross join (select ends.* from unnest($8::uuid[], $9::bytea[]) as ends(id, result) order by ends.id) n
    where x.id = n.id and x.owner is not distinct from me.id
      and x.cancel_requested_at is null and not x.is_called
      and not exists (select from stepwell.execution c where c.parent_id = n.id and c.is_called and c.finished_at is null)
      and not exists (select from stepwell.wait w where w.execution_id = n.id)
    returning x.id, x.is_awaited
), hint as (
    select pg_notify('stepwell', 'done') where exists (select from fin where is_awaited)
)
select exists (select from me),
       case when (select count(*) from cp) < cardinality($2::uuid[])
            then array(select unnest($2::uuid[]) except select execution_id from cp) end,
       case when (select count(*) from fin) < cardinality($8::uuid[])
            then array(select unnest($8::uuid[]) except select id from fin) end,
       array(select x.id from stepwell.execution x
             where x.owner = $1::uuid and x.is_told and x.id <> all ($8::uuid[])),
       (select count(*) from hint)
