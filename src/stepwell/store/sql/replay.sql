-- Start further executions for a delivery, and name them with it; no row where it is unknown. What was started by the same
-- call before is not started again. Workers that wait for work get one hint. Locks: delivery.
with held as (
    update stepwell.delivery v set executions = v.executions || $2::uuid[]
    where v.id = $1::uuid and not v.executions @> $2::uuid[]
    returning v.id
), made as (
    insert into stepwell.execution (id, workflow, queue, input, due_at)
    select n.id, n.workflow, n.queue, n.input, now()
    from held cross join unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[]) as n(id, workflow, queue, input)
    returning id
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select (select count(*) from hint) from stepwell.delivery v where v.id = $1::uuid
