-- Store every checkpoint, failed attempt and outcome of one process. The session's row is held until commit: the reaper
-- must delete it first, so it waits for this write or this write finds nothing. Each row also asks that the session still
-- owns the execution (as a subquery, and with "is not distinct from", so that the planner can only look each row up by its
-- id: joined by owner it would read every execution of this worker for every row). An accepted cancel wins over any outcome,
-- because the caller was told so. Locks: worker (shared), execution in the order of the ids.
with me as materialized (
    select id from stepwell.worker where id = $1::uuid for key share
), cp as (
    insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
    select n.execution_id, n.key, n.kind, n.digest, n.is_failure, n.value
    from me cross join unnest($2::uuid[], $3::text[], $4::text[], $5::int4[], $6::boolean[], $7::bytea[])
        as n(execution_id, key, kind, digest, is_failure, value)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id
), at as (
    insert into stepwell.attempt (execution_id, key, attempt, retry_at, error)
    select n.execution_id, n.key, n.attempt, n.retry_at, n.error
    from me cross join unnest($8::uuid[], $9::text[], $10::int4[], $11::timestamptz[], $12::bytea[])
        as n(execution_id, key, attempt, retry_at, error)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id
), fin as (
    update stepwell.execution x
    set owner = null,
        crashes = 0,
        status = case when x.cancel_requested_at is not null then 'cancelled' else n.status end,
        due_at = case when x.cancel_requested_at is null then n.due_at end,
        finished_at = case when x.cancel_requested_at is not null or n.due_at is null then now() end,
        result = case when x.cancel_requested_at is null then n.result end,
        error = case when x.cancel_requested_at is null then n.error end,
        reason = case when x.cancel_requested_at is null then n.reason else x.reason end,
        failed_steps = case when x.cancel_requested_at is null and n.failed_steps <> '' then string_to_array(n.failed_steps, E'\n') end
    from me cross join (
        select * from unnest($13::uuid[], $14::text[], $15::timestamptz[], $16::bytea[], $17::bytea[], $18::text[], $19::text[])
            as n(id, status, due_at, result, error, reason, failed_steps) order by n.id) n
    where x.id = n.id and x.owner is not distinct from me.id
    returning x.id, x.is_awaited and x.finished_at is not null as is_awaited
), hint as (
    select pg_notify('stepwell', 'done') where exists (select from fin where is_awaited)
)
select exists (select from me),
       case when (select count(*) from cp) < cardinality($2::uuid[])
              or (select count(*) from at) < cardinality($8::uuid[])
              or (select count(*) from fin) < cardinality($13::uuid[])
            then array(select unnest($2::uuid[] || $8::uuid[] || $13::uuid[])
                       except (select execution_id from cp union all select execution_id from at union all select id from fin))
       end,
       array(select x.id from stepwell.execution x
             where x.owner = $1::uuid and x.cancel_requested_at is not null and x.id <> all($13::uuid[])),
       (select count(*) from hint)
