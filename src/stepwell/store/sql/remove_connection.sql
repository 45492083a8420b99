-- Remove a connection, with the consents that were asked for it: a row back when it was there. Who waits for it goes on, and is
-- told that it is unknown; who begins to wait after this statement's snapshot looks again by itself, within the hour.
-- Deliveries are judged anew. Locks: connection, execution in the order of the ids, intake.
with removed as (
    delete from stepwell.connection where name = $1::text returning name
), told as (
    update stepwell.intake set revision = revision + 1 where is_only and exists (select from removed)
), unasked as (
    delete from stepwell.authorisation a using removed r where a.connection = r.name
), freed as materialized (
    select x.id from stepwell.execution x
    where exists (select from removed)
      and x.id = any(array(select n.execution_id from stepwell.need n where n.connection = $1::text))
    order by uuid_send(x.id) for no key update of x
), woken as (
    update stepwell.execution x
    set signals = x.signals + 1,
        status = case when x.status = 'waiting' then 'pending' else x.status end,
        due_at = case when x.status = 'waiting' then now() else x.due_at end,
        reason = case when x.status = 'waiting' then 'connection ''' || $1::text || ''' was removed' else x.reason end
    from freed f
    where x.id = f.id and x.finished_at is null
    returning x.due_at <= now() as is_due
), forgotten as (
    delete from stepwell.need n using removed r where n.connection = r.name
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from woken where is_due) and exists (select from stepwell.worker where is_idle)
)
select name, (select count(*) from hint) from removed
