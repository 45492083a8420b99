-- End expired sessions and free what they owned. A session with a write in flight is skipped: its write commits first.
-- The second arm of `held` frees executions that were claimed in the instant in which their session was ended. Its test of
-- claimed_at keeps it off those of a session opened since this statement began, which it cannot see. `held` takes the
-- locks in the order of the ids, as in close_session. Locks: worker, execution.
with dead as (
    delete from stepwell.worker
    where id in (select id from stepwell.worker where expires_at < now() order by expires_at limit 100 for update skip locked)
    returning id
), held as materialized (
    select e.id from stepwell.execution e
    where e.owner is not null
      and (e.owner in (select id from dead)
           or (e.claimed_at < now() and not exists (select from stepwell.worker w where w.id = e.owner)))
    order by uuid_send(e.id) for update
), freed as (
    update stepwell.execution e
    set owner = null,
        crashes = e.crashes + 1,
        due_at = case when e.crashes + 1 < $1::int and e.cancel_requested_at is null then now() end,
        finished_at = case when e.crashes + 1 >= $1::int or e.cancel_requested_at is not null then now() end,
        status = case
            when e.cancel_requested_at is not null then 'cancelled'
            when e.crashes + 1 >= $1::int then 'failed'
            else 'pending' end,
        reason = case
            when e.cancel_requested_at is not null then e.reason
            when e.crashes + 1 >= $1::int then 'crashed ' || (e.crashes + 1) || ' workers'
            else 'its worker died' end,
        error = case when e.crashes + 1 >= $1::int and e.cancel_requested_at is null then convert_to(
            '{"type":"WorkerCrashed","message":"crashed ' || (e.crashes + 1) || ' workers","traceback":""}', 'UTF8') end
    from held
    where e.id = held.id
    returning e.id, e.status, e.is_awaited
), hint as (
    select pg_notify('stepwell', kind)
    from (select case when status = 'pending' then 'work' else 'done' end as kind from freed
          where status = 'pending' or is_awaited group by 1) hints
)
select (select count(*) from dead), (select count(*) from freed where status = 'pending'),
       array(select id from freed where status = 'failed'), (select count(*) from hint)
