-- Make a new execution with the input of another one, or a new input, and the history that this one had before a step: what
-- was stored before the step's outcome was, or together with it, and is not part of the step, nor the map whose item it
-- is. A step that has only parts so far, such as items of a map, has its place after the last of them. $4 null: all of the
-- history; empty: none of it. Intents of effects stay behind: the fork has tried none of them. The failures that ended the old one are left out. Edited outcomes replace those that were
-- stored, also those failures. The new execution sees the uuid() and random() of the old one. Answers whether there is such
-- an execution, such a step, and a fork. Locks: execution (shared: it is not removed meanwhile).
with source as materialized (
    select x.* from stepwell.execution x where x.id = $1::uuid for key share
), cut as materialized (
    select case when $4::text is null then 'infinity'::timestamptz when $4::text = '' then '-infinity'::timestamptz
                else coalesce((select c.recorded_at from stepwell.checkpoint c where c.execution_id = $1::uuid and c.key = $4::text),
                              (select max(c.recorded_at) from stepwell.checkpoint c
                               where c.execution_id = $1::uuid and starts_with(c.key, $4::text || '/#')))
           end as at
), edit as materialized (
    select * from unnest($5::text[], $6::bytea[]) as n(key, value)
), kept as materialized (
    select c.* from source s cross join cut join stepwell.checkpoint c on c.execution_id = s.id
    where c.recorded_at <= cut.at and c.kind <> 'intent'
      and not (c.is_failure and c.key = any(coalesce(s.failed_steps, '{}')) and c.key <> all($5::text[]))
      and ($4::text is null or not (c.key = $4::text or starts_with(c.key, $4::text || '/')
                                    or (c.kind = 'map' and starts_with($4::text, c.key || '/#'))))
), allowed as materialized (
    select s.* from source s cross join cut
    where cut.at is not null
      and not exists (
          select from edit e where not exists (
              select from kept k where k.key = e.key and k.kind in ('step', 'transaction', 'item', 'effect', 'result')))
), made as (
    insert into stepwell.execution (id, workflow, queue, tags, input, due_at, fork_of, seed, version)
    select $2::uuid, a.workflow, a.queue, a.tags, coalesce($3::bytea, a.input), now(), a.id, coalesce(a.seed, a.id), a.version
    from allowed a
    returning id
), copied as (
    insert into stepwell.checkpoint (execution_id, recorded_at, digest, is_failure, kind, key, value)
    select m.id, k.recorded_at, k.digest, k.is_failure and e.key is null, k.kind, k.key, coalesce(e.value, k.value)
    from made m cross join kept k left join edit e on e.key = k.key
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select $1::uuid, $7::text, 'fork', m.id::text from made m
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select exists (select from source), (select at is not null from cut), exists (select from made), (select count(*) from hint)
