-- Accept executions, all or none: if a key belongs to an execution with another input nothing is stored. An execution that
-- is there already, by its id or by its key, is left alone: neither written nor locked, so that a repeated start costs a
-- look and stands in nobody's way. Where a concurrent start of the same key is not yet to be seen, the empty update waits
-- for it and answers with what it made. Workers that wait for work get one hint.
-- Locks: execution, only in that last case, in the order of the keys (the caller sorts).
with n as materialized (
    select n.id, n.workflow, n.queue, n.key, n.tags, n.input, n.delay, n.is_awaited,
           coalesce(n.deadline_at, now() + nullif(n.deadline_seconds, 0) * interval '1 second') as deadline_at
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::float8[],
                     $8::boolean[], $9::timestamptz[], $10::float8[])
        as n(id, workflow, queue, key, tags, input, delay, is_awaited, deadline_at, deadline_seconds)
), taken as materialized (
    select e.id, e.workflow, e.key, e.input, e.input <> n.input as is_other
    from n join stepwell.execution e on e.workflow = n.workflow and e.key = n.key
), made as (
    insert into stepwell.execution as e (id, workflow, queue, key, tags, input, due_at, is_awaited, deadline_at)
    select n.id, n.workflow, n.queue, n.key, case when n.tags = '' then null else string_to_array(n.tags, E'\n') end, n.input,
           least(now() + n.delay * interval '1 second', n.deadline_at), n.is_awaited, n.deadline_at
    from n
    where not exists (select from taken where is_other)
      and not exists (select from stepwell.execution e where e.id = n.id)
      and not exists (select from stepwell.execution e where e.workflow = n.workflow and e.key = n.key)
    on conflict (workflow, key) where key is not null do update set key = excluded.key
    returning e.id, e.workflow, e.key, e.input
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select m.id, m.workflow, m.key, m.input, h.hints
from (select count(*) as hints from hint) h
left join (select id, workflow, key, input from taken union all select * from made where key is not null) m on true
