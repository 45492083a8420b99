-- Store every checkpoint, failed attempt, child and outcome of one process. The session's row is held until commit: the
-- reaper must delete it first, so it waits for this write or this write finds nothing. A session ends with the server
-- that it was opened on: one that follows may lack what this process took for stored, and nothing may be built on that.
-- Each row also asks that the session still owns the execution (as a subquery, and with "is not distinct from", so that
-- the planner can only look each row up by its id: joined by owner it would read every execution of this worker for
-- every row). An accepted cancel wins over any end, because the caller was told so; an execution that would only stop
-- for a while and has not been told yet is due now, and so is one that has returned, but has something to undo
-- (`is_undoable`).
-- A pass that would wait is due now, too, if `signals` has moved since it was claimed: what it waits for may have come.
-- The end of a called child lets its parent go on; what a parent has called and, completed or cancelled, waits for no longer
-- is asked to be cancelled (a failed one may be retried, and then asks for its children again). Where there are such
-- relatives (`kin`), all rows are locked first (`held`), in one order; each is then written by one of the updates, by what
-- `held` has seen. Membership is asked by subqueries (`is true` keeps them from becoming joins): they are hashed, where a
-- join of CTEs is quadratic on our connections.
-- Locks: worker (shared), execution in the order of the ids.
with me as materialized (
    select id from stepwell.worker where id = $1::uuid and server_started_at = pg_postmaster_start_time() for key share
), cp as (
    insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
    select n.execution_id, n.key, n.kind, n.digest, n.is_failure, n.value
    from me cross join unnest($2::uuid[], $3::text[], $4::text[], $5::int4[], $6::boolean[], $7::bytea[])
        as n(execution_id, key, kind, digest, is_failure, value)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id, key, kind
), at as (
    insert into stepwell.attempt (execution_id, key, attempt, retry_at, error)
    select n.execution_id, n.key, n.attempt, n.retry_at, n.error
    from me cross join unnest($8::uuid[], $9::text[], $10::int4[], $11::timestamptz[], $12::bytea[])
        as n(execution_id, key, attempt, retry_at, error)
    where (select x.owner from stepwell.execution x where x.id = n.execution_id) is not distinct from me.id
    returning execution_id
), ends as materialized (
    select n.*, n.status in ('completed', 'failed', 'cancelled') as is_final
    from unnest($13::uuid[], $14::text[], $15::timestamptz[], $16::bytea[], $17::bytea[], $18::text[], $19::text[], $20::int4[],
                $21::boolean[], $30::boolean[])
        as n(id, status, due_at, result, error, reason, failed_steps, signals, is_aware, is_undoable)
), kin as materialized (
    select c.parent_id as id, n.id as because_of, 'parent' as is_its from ends n join stepwell.execution c on c.id = n.id
    where n.is_final and c.is_called
    union all
    select c.id, n.id, 'child' from ends n join stepwell.execution c on c.parent_id = n.id
    where n.is_final and c.is_called and c.finished_at is null
    union all
    select c.parent_id, c.parent_id, 'newborn' from unnest($26::uuid[], $28::boolean[]) as c(parent_id, is_called)
    where c.is_called and (c.parent_id in (select id from ends where is_final)) is true
), held as materialized (
    select e.id, e.owner is not distinct from me.id and e.id in (select id from ends) as is_written,
           e.cancel_requested_at is not null as is_cancelling
    from me cross join stepwell.execution e
    where e.id = any(array(select id from kin union select id from ends where exists (select from kin)))
    order by uuid_send(e.id) for no key update of e
), over as materialized (
    select h.id, h.is_cancelling from held h
    where h.is_written and (h.id in (select id from ends where is_final)) is true
      and not (h.is_cancelling and (h.id in (select id from ends where is_undoable)) is true)
), closed as materialized (
    select h.id from over h
    where h.is_cancelling or h.id in (select id from ends where status in ('completed', 'cancelled'))
), news as materialized (
    select id from kin where is_its = 'parent' and (because_of in (select id from over)) is true
), doomed as materialized (
    select id from kin where is_its = 'child' and (because_of in (select id from closed)) is true
), ch as (
    insert into stepwell.execution (id, workflow, queue, input, parent_id, parent_key, is_called, tags,
                                    status, due_at, finished_at, cancel_requested_at, is_told, cancel_reason, reason)
    select n.id, n.workflow, n.queue, n.input, n.parent_id, n.parent_key, n.is_called,
           case when n.tags = '' then null else string_to_array(n.tags, E'\n') end,
           case when n.is_doomed then 'cancelled' else 'pending' end,
           case when not n.is_doomed then now() end,
           case when n.is_doomed then now() end, case when n.is_doomed then now() end, n.is_doomed,
           case when n.is_doomed then 'its parent has ended' end, case when n.is_doomed then 'its parent has ended' end
    from me cross join (
        select c.*, c.is_called and c.parent_id in (select id from closed) as is_doomed
        from unnest($22::uuid[], $23::text[], $24::text[], $25::bytea[], $26::uuid[], $27::text[], $28::boolean[], $29::text[])
            as c(id, workflow, queue, input, parent_id, parent_key, is_called, tags)) n
    where (select x.owner from stepwell.execution x where x.id = n.parent_id) is not distinct from me.id
    returning parent_id
), fin as (
    update stepwell.execution x
    set owner = null,
        crashes = 0,
        signals = case when n.has_news and not n.is_final then x.signals + 1 else x.signals end,
        cancel_requested_at = case when n.is_doomed then coalesce(x.cancel_requested_at, now()) else x.cancel_requested_at end,
        cancel_reason = case when n.is_doomed then coalesce(x.cancel_reason, 'its parent has ended') else x.cancel_reason end,
        paused_at = case when not n.is_final and not n.is_doomed then x.paused_at end,
        paused_by = case when not n.is_final and not n.is_doomed then x.paused_by end,
        is_told = x.is_told or n.is_doomed,
        status = case
            when n.is_undoable and x.cancel_requested_at is not null then 'pending'
            when n.is_final and x.cancel_requested_at is not null then 'cancelled'
            when n.status = 'waiting' and (x.signals <> n.signals or n.has_news or n.is_doomed
                                           or (x.cancel_requested_at is not null and not n.is_aware)) then 'pending'
            else n.status end,
        due_at = case
            when n.is_undoable and x.cancel_requested_at is not null then now()
            when n.is_final then null
            when n.is_doomed or (x.cancel_requested_at is not null and not n.is_aware) then now()
            when n.status = 'waiting' and (x.signals <> n.signals or n.has_news) then now()
            else n.due_at end,
        finished_at = case when n.is_final and not (n.is_undoable and x.cancel_requested_at is not null) then now() end,
        result = case when x.cancel_requested_at is null then n.result end,
        error = case when x.cancel_requested_at is null then n.error end,
        reason = case
            when n.is_undoable and x.cancel_requested_at is not null then 'is being cancelled'
            when n.is_final and x.cancel_requested_at is not null then x.cancel_reason
            when n.is_doomed then 'is being cancelled'
            else n.reason end,
        failed_steps = case when x.cancel_requested_at is null and n.failed_steps <> '' then string_to_array(n.failed_steps, E'\n') end
    from me cross join (
        select ends.*, ends.id in (select id from news) as has_news, not ends.is_final and ends.id in (select id from doomed) as is_doomed
        from ends order by ends.id) n
    where x.id = n.id and x.owner is not distinct from me.id and (select count(*) from held) >= 0
    returning x.id, x.finished_at is not null as has_ended, x.is_awaited and x.finished_at is not null as is_awaited,
              (n.status = 'waiting' or n.is_undoable) and x.status = 'pending' as is_due
), woken as (
    update stepwell.execution x
    set {{wake}}
    where x.id = any(array(select id from news except select id from held where is_written)) and x.finished_at is null
    returning x.due_at <= now() as is_due
), orphaned as (
    update stepwell.execution x
    set {{orphan}}
    where x.id = any(array(select id from doomed except select id from held where is_written)) and x.finished_at is null
    returning x.id, x.owner, x.due_at <= now() as is_due, x.is_awaited and x.finished_at is not null as is_awaited
), unregistered as (
    delete from stepwell.wait w
    using (select execution_id, key from cp where kind in ('wait', 'first')
           union all select id, null from fin where has_ended) o
    where w.execution_id = o.execution_id and (o.key is null or w.key = o.key)
), hint as (
    select pg_notify('stepwell', kind)
    from (select 'done' as kind where exists (select from fin where is_awaited) or exists (select from orphaned where is_awaited)
          union all
          select 'work' where (exists (select from ch) or exists (select from fin where is_due)
                               or exists (select from woken where is_due) or exists (select from orphaned where is_due))
              and exists (select from stepwell.worker where is_idle)) hints
)
select exists (select from me),
       case when (select count(*) from cp) < cardinality($2::uuid[])
              or (select count(*) from at) < cardinality($8::uuid[])
              or (select count(*) from fin) < cardinality($13::uuid[])
              or (select count(*) from ch) < cardinality($22::uuid[])
            then array(select unnest($2::uuid[] || $8::uuid[] || $13::uuid[] || $26::uuid[])
                       except (select execution_id from cp union all select execution_id from at union all select id from fin
                               union all select parent_id from ch))
       end,
       array(select x.id from stepwell.execution x
             where x.owner = $1::uuid and x.is_told and x.id not in (select id from ends)
             union
             select id from orphaned where owner = $1::uuid),
       (select count(*) from hint)
