-- Start what was decided of a schedule's ticks and note the decision, if the schedule is still the one that was read. Of
-- many that decide about the same tick one finds the revision it has read; the others wait for its commit, find another
-- one and start nothing. A tick's key is unique among the workflow's executions, whatever else might go wrong.
-- Locks: schedule; execution where a key is just being started.
with decided as (
    update stepwell.schedule s
    set revision = s.revision + 1, decided_at = $3::timestamptz, next_at = $4::timestamptz,
        last_at = coalesce($5::timestamptz, s.last_at), note = $6::text
    where s.id = $1::text and s.revision = $2::int8
    returning s.id, s.workflow, s.queue
), made as (
    insert into stepwell.execution (id, workflow, queue, key, input, due_at, schedule)
    select n.id, d.workflow, d.queue, n.key, n.input, now() + n.delay * interval '1 second', d.id
    from decided d cross join unnest($7::uuid[], $8::text[], $9::bytea[], $10::float8[]) as n(id, key, input, delay)
    on conflict (workflow, key) where key is not null do nothing
    returning id
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select (select count(*) from decided), (select count(*) from hint)
