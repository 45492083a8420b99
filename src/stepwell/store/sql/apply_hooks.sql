-- Bring the webhook triggers of some workflows to what the code declares: those it declares are there, the others are switched
-- off and kept. What is as declared is left alone; if anything changes, the intake's revision grows with it.
-- Locks: hook, in the order of the ids; then intake.
with n as (
    select n.id, n.workflow, n.queue, n.parameter, n.source, n.connection, string_to_array(n.types, E'\n') as types,
           true as is_declared
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        as n(id, workflow, queue, parameter, source, connection, types)
    union all
    select id, workflow, queue, parameter, source, connection, types, false from stepwell.hook
    where workflow = any($8::text[]) and is_declared and id <> all($1::text[])
), changed as (
    insert into stepwell.hook as h (id, workflow, queue, parameter, source, connection, types, is_declared)
    select * from n order by id
    on conflict (id) do update
    set workflow = excluded.workflow, queue = excluded.queue, parameter = excluded.parameter, source = excluded.source,
        connection = excluded.connection, types = excluded.types, is_declared = excluded.is_declared
    where (h.workflow, h.queue, h.parameter, h.source, h.connection, h.types, h.is_declared)
        is distinct from (excluded.workflow, excluded.queue, excluded.parameter, excluded.source, excluded.connection,
                          excluded.types, excluded.is_declared)
    returning 1
)
update stepwell.intake set revision = revision + 1 where is_only and exists (select from changed)
