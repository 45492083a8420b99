-- Make a new execution with the input of another one, or a new input, and the history that this one had before a step: what
-- was stored before the step's outcome was, or together with it, and is not part of the step. $4 null: all of the history,
-- but for the failures that ended the old one; empty: none of it. Edited outcomes replace those that were stored. The new
-- execution counts a pass, so that its first claim comes with the history; it sees the uuid() and random() of the old one.
-- Answers whether there is such an execution, such a step, and a fork. Locks: none.
with source as materialized (
    select x.* from stepwell.execution x where x.id = $1::uuid
), cut as materialized (
    select case when $4::text is null then 'infinity'::timestamptz when $4::text = '' then '-infinity'::timestamptz
                else (select c.recorded_at from stepwell.checkpoint c where c.execution_id = $1::uuid and c.key = $4::text)
           end as at
), edit as materialized (
    select * from unnest($5::text[], $6::bytea[]) as n(key, value)
), kept as materialized (
    select c.* from source s cross join cut join stepwell.checkpoint c on c.execution_id = s.id
    where c.recorded_at <= cut.at and not (c.is_failure and c.key = any(coalesce(s.failed_steps, '{}')))
      and ($4::text is null or (c.key <> $4::text and not starts_with(c.key, $4::text || '/')))
), allowed as materialized (
    select s.* from source s cross join cut
    where cut.at is not null
      and not exists (
          select from edit e where not exists (
              select from kept k where k.key = e.key and k.kind in ('step', 'transaction', 'item', 'effect', 'result')))
), made as (
    insert into stepwell.execution (id, workflow, queue, tags, input, due_at, passes, fork_of, seed)
    select $2::uuid, a.workflow, a.queue, a.tags, coalesce($3::bytea, a.input), now(), 1, a.id, coalesce(a.seed, a.id)
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
