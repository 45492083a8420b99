-- Start what was decided about events and remove them from what is to be decided, in one. An event that somebody else has
-- decided meanwhile is no longer there and starts nothing; a workflow has one execution for each event in any case, by its
-- key. Locks: dispatch, in the order of its key; execution where a key is just being started, in the order of the keys.
with n as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bytea[])
        as n(trigger, name, address, number, id, workflow, queue, key, input)
), held as materialized (
    select d.trigger, d.name, d.address, d.number
    from stepwell.dispatch d join n on n.trigger = d.trigger and n.name = d.name and n.address = d.address and n.number = d.number
    order by d.trigger, d.name, d.address, d.number for update of d
), decided as (
    delete from stepwell.dispatch d using held h
    where d.trigger = h.trigger and d.name = h.name and d.address = h.address and d.number = h.number
    returning d.trigger, d.name, d.address, d.number
), made as (
    insert into stepwell.execution (id, workflow, queue, key, input, due_at)
    select n.id, n.workflow, n.queue, n.key, n.input, now()
    from n join decided d on n.trigger = d.trigger and n.name = d.name and n.address = d.address and n.number = d.number
    where n.id is not null
    order by n.workflow, n.key
    on conflict (workflow, key) where key is not null do nothing
    returning id
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select (select count(*) from decided), (select count(*) from hint)
