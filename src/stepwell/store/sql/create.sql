-- Accept executions, all or none: if a key belongs to an execution with another input nothing is stored. An execution that
-- is there already, by its id or by its key, is left alone: neither written nor locked, so that a repeated start costs a
-- look and stands in nobody's way. Where a concurrent start of the same key is not yet to be seen, the empty update waits
-- for it and answers with what it made. Workers that wait for work get one hint.
-- What has no key has nothing to collide with: it is inserted without the marks that `on conflict` leaves in the log.
-- Locks: execution, only in that last case, in the order of the keys (the caller sorts).
with n as materialized (
    select g.id, g.workflow, g.queue, g.key, case when g.tags <> '' then string_to_array(g.tags, E'\n') end as tags, g.input,
           least(now() + g.delay * interval '1 second', d.deadline_at) as due_at, g.is_awaited, d.deadline_at
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::float8[],
                     $8::boolean[], $9::timestamptz[], $10::float8[])
        as g(id, workflow, queue, key, tags, input, delay, is_awaited, deadline_at, deadline_seconds)
    cross join lateral (
        select coalesce(g.deadline_at, now() + nullif(g.deadline_seconds, 0) * interval '1 second') as deadline_at) d
), taken as materialized (
    select e.id, e.workflow, e.key, e.input, e.input <> n.input as is_other
    from n join stepwell.execution e on e.workflow = n.workflow and e.key = n.key
), made as (
    insert into stepwell.execution as e (id, workflow, queue, key, tags, input, due_at, is_awaited, deadline_at)
    select n.* from n
    where n.key is not null
      and not exists (select from taken where is_other)
      and not exists (select from stepwell.execution e where e.id = n.id)
      and not exists (select from stepwell.execution e where e.workflow = n.workflow and e.key = n.key)
    on conflict (workflow, key) where key is not null do update set key = excluded.key
    returning e.id, e.workflow, e.key, e.input
), made_without_key as (
    insert into stepwell.execution (id, workflow, queue, key, tags, input, due_at, is_awaited, deadline_at)
    select n.* from n
    where n.key is null
      and not exists (select from taken where is_other)
      and not exists (select from stepwell.execution e where e.id = n.id)
    returning id
), hint as (
    select pg_notify('stepwell', 'work')
    where (exists (select from made) or exists (select from made_without_key))
      and exists (select from stepwell.worker where is_idle)
)
select m.id, m.workflow, m.key, m.input, h.hints
from (select count(*) as hints from hint) h
left join (select id, workflow, key, input from taken union all select * from made) m on true
