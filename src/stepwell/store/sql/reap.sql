-- End expired sessions and free what they owned. A session with a write in flight is skipped: its write commits first.
-- The second arm of the test frees executions that were claimed in the instant in which their session was ended. Its test of
-- claimed_at keeps it off those of a session opened since this statement began, which it cannot see. What was asked to be
-- cancelled goes on with its clean-up elsewhere. What crashed too many workers ends here: the parent that has called it goes
-- on, and if it was being cancelled, so are the children that it has called (`kin`). `held` takes the locks in the order of
-- the ids, as in close_session, and has seen the newest version of each row. Children are asked for by an array: joined with
-- `mine`, they were once sought among all executions.
-- Locks: worker, execution in the order of the ids, wait.
with dead as (
    delete from stepwell.worker
    where id in (select id from stepwell.worker where expires_at < now() order by expires_at limit 100 for update skip locked)
    returning id
), mine as materialized (
    select e.id, e.parent_id, e.is_called, e.crashes + 1 >= $1::int as is_ending
    from stepwell.execution e
    where e.owner is not null
      and (e.owner in (select id from dead)
           or (e.claimed_at < now() and not exists (select from stepwell.worker w where w.id = e.owner)))
), kin as materialized (
    select m.parent_id as id from mine m where m.is_ending and m.is_called
    union
    select c.id from stepwell.execution c
    where c.parent_id = any(array(select id from mine where is_ending)) and c.is_called and c.finished_at is null
), held as materialized (
    select e.id, e.cancel_requested_at is not null as is_cancelling from stepwell.execution e
    where e.id = any(array(select id from mine union select id from kin))
    order by uuid_send(e.id) for update
), cancelled as materialized (
    select id from mine where is_ending and (id in (select id from held where is_cancelling)) is true
), freed as (
    update stepwell.execution e
    set owner = null,
        crashes = e.crashes + 1,
        due_at = case when e.crashes + 1 < $1::int then now() end,
        finished_at = case when e.crashes + 1 >= $1::int then now() end,
        cancel_requested_at = case when mine.is_doomed then coalesce(e.cancel_requested_at, now()) else e.cancel_requested_at end,
        cancel_reason = case when mine.is_doomed then coalesce(e.cancel_reason, 'its parent has ended') else e.cancel_reason end,
        paused_at = case when e.crashes + 1 < $1::int and not mine.is_doomed then e.paused_at end,
        paused_by = case when e.crashes + 1 < $1::int and not mine.is_doomed then e.paused_by end,
        is_told = e.is_told or mine.is_doomed,
        status = case
            when e.crashes + 1 < $1::int then 'pending'
            when e.cancel_requested_at is not null then 'cancelled'
            else 'failed' end,
        reason = case
            when e.crashes + 1 >= $1::int and e.cancel_requested_at is not null then e.cancel_reason
            when e.crashes + 1 >= $1::int then 'crashed ' || (e.crashes + 1) || ' workers'
            when mine.is_doomed then 'is being cancelled'
            else 'its worker died' end,
        error = case when e.crashes + 1 >= $1::int and e.cancel_requested_at is null then convert_to(
            '{"type":"WorkerCrashed","message":"crashed ' || (e.crashes + 1) || ' workers","traceback":""}', 'UTF8') end
    from (select m.*, not m.is_ending and m.is_called and m.parent_id in (select id from cancelled) as is_doomed from mine m) mine
    where e.id = mine.id and (select count(*) from held) >= 0
      and e.owner is not null
      and (e.owner in (select id from dead)
           or (e.claimed_at < now() and not exists (select from stepwell.worker w where w.id = e.owner)))
    returning e.id, e.parent_id, e.is_called, e.status, e.is_awaited
), woken as (
    update stepwell.execution x
    set {{wake}}
    where x.id = any(array(select parent_id from freed where is_called and status <> 'pending' except select id from freed))
      and x.finished_at is null
    returning x.due_at <= now() as is_due
), orphaned as (
    update stepwell.execution x
    set {{orphan}}
    where x.id = any(array(select id from kin except select id from freed))
      and x.is_called and x.parent_id in (select id from freed where status = 'cancelled') and x.finished_at is null
    returning x.due_at <= now() as is_due, x.is_awaited and x.finished_at is not null as is_awaited
), over as (
    delete from stepwell.wait w using freed f where f.status <> 'pending' and w.execution_id = f.id
), hint as (
    select pg_notify('stepwell', kind)
    from (select case when status = 'pending' then 'work' else 'done' end as kind from freed
          where status = 'pending' or is_awaited
          union
          select 'work' from woken where is_due
          union
          select case when is_awaited then 'done' else 'work' end from orphaned where is_due or is_awaited) hints
)
select (select count(*) from dead), (select count(*) from freed where status = 'pending'),
       array(select id from freed where status = 'failed'), (select count(*) from hint)
