-- Bring the schedules of some workflows to what the code declares: those it declares are there, the others are switched
-- off and kept. A changed time counts from now on; a changed policy for what is not yet decided. What is as declared is
-- left alone, so that many processes that start at once wait for each other at most once. Locks: schedule, in the order
-- of the ids.
with n as materialized (
    select id, workflow, queue, parameter, nullif(every_seconds, 0) as every_seconds, cron, zone, catch_up, max_catch_up, overlap,
           jitter_seconds, true as is_declared
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[], $8::text[], $9::int4[],
                $10::text[], $11::float8[])
        as n(id, workflow, queue, parameter, every_seconds, cron, zone, catch_up, max_catch_up, overlap, jitter_seconds)
    union all
    select id, workflow, queue, parameter, every_seconds, cron, zone, catch_up, max_catch_up, overlap, jitter_seconds, false
    from stepwell.schedule
    where workflow = any($12::text[]) and is_declared and id <> all($1::text[])
), put as (
    insert into stepwell.schedule as s (id, workflow, queue, parameter, every_seconds, cron, zone, catch_up, max_catch_up, overlap,
                                        jitter_seconds, is_declared, next_at)
    select n.*, case when n.is_declared then now() end from n order by n.id
    on conflict (id) do update
    set workflow = excluded.workflow, queue = excluded.queue, parameter = excluded.parameter,
        every_seconds = excluded.every_seconds, cron = excluded.cron, zone = excluded.zone, catch_up = excluded.catch_up,
        max_catch_up = excluded.max_catch_up, overlap = excluded.overlap, jitter_seconds = excluded.jitter_seconds,
        is_declared = excluded.is_declared,
        revision = s.revision + 1,
        decided_at = case
            when s.is_declared and (s.every_seconds, s.cron, s.zone)
                is not distinct from (excluded.every_seconds, excluded.cron, excluded.zone) then s.decided_at
            else greatest(s.decided_at, now()) end,
        next_at = case when excluded.is_declared and s.paused_at is null then now() end,
        note = case when not excluded.is_declared then 'no longer declared by the code' when s.is_declared then s.note end
    where (s.workflow, s.queue, s.parameter, s.every_seconds, s.cron, s.zone, s.catch_up, s.max_catch_up, s.overlap,
           s.jitter_seconds, s.is_declared)
        is distinct from (excluded.workflow, excluded.queue, excluded.parameter, excluded.every_seconds, excluded.cron,
           excluded.zone, excluded.catch_up, excluded.max_catch_up, excluded.overlap, excluded.jitter_seconds,
           excluded.is_declared)
    returning s.id
)
select pg_notify('stepwell', 'schedule') from put limit 1
