-- Lets go on who waits for connection $1, if `over` has a row, which says why: executions that wait are due at once, those
-- that run find their `signals` moved when they would park. Locks: execution in the order of the ids.
freed as materialized (
    select x.id from stepwell.execution x
    where exists (select from over)
      and x.id = any(array(select n.execution_id from stepwell.need n where n.connection = $1::text))
    order by uuid_send(x.id) for no key update of x
), woken as (
    update stepwell.execution x
    set {{wake}},
        reason = case when x.status = 'waiting' then 'connection ''' || $1::text || ''' ' || o.why else x.reason end
    from freed f cross join over o
    where x.id = f.id and x.finished_at is null
    returning x.due_at <= now() as is_due
), forgotten as (
    delete from stepwell.need n where n.connection = $1::text and exists (select from over)
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from woken where is_due) and exists (select from stepwell.worker where is_idle)
)
