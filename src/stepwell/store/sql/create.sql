-- Accept executions. A key that is taken yields the execution that has it: the empty update locks that row, so the answer
-- is the newest and a concurrent start of the same key waits for ours. Workers that wait for work get one hint.
-- Locks: execution, in the order of the keys (the caller sorts).
with made as (
    insert into stepwell.execution as e (id, workflow, queue, key, tags, input, due_at)
    select n.id, n.workflow, n.queue, n.key, case when n.tags = '' then null else string_to_array(n.tags, E'\n') end, n.input,
           now() + n.delay * interval '1 second'
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::float8[])
        as n(id, workflow, queue, key, tags, input, delay)
    on conflict (workflow, key) where key is not null do update set key = excluded.key
    returning e.id, e.workflow, e.key, e.input
), hint as (
    select pg_notify('stepwell', 'work') where exists (select from stepwell.worker where is_idle)
)
select m.id, m.workflow, m.key, m.input, h.hints
from (select count(*) as hints from hint) h left join made m on m.key is not null
