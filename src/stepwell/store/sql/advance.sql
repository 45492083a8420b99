-- Start an execution for each item of a page and move the poll's cursor, all or nothing: if the cursor is no longer where it
-- was read, because somebody else or a cut attempt of the same has moved it, nothing is changed. An item whose key has an
-- execution already starts none. Locks: schedule; execution where a key is just being started, in the order of the keys.
with moved as (
    update stepwell.schedule set cursor = $4::text, cursor_by = $3::text
    where id = $1::text and cursor_by is not distinct from $2::text
    returning id
), made as (
    insert into stepwell.execution (id, workflow, queue, key, input, due_at)
    select n.id, n.workflow, n.queue, n.key, n.input, now()
    from moved cross join unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::bytea[]) as n(id, workflow, queue, key, input)
    order by n.workflow, n.key
    on conflict (workflow, key) where key is not null do nothing
    returning id
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select (select count(*) from moved), (select count(*) from hint)
