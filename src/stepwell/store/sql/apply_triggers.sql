-- Bring the triggers of some workflows to what the code declares: those it declares are there, the others are switched off
-- and kept. What is as declared is left alone. Locks: trigger, in the order of the ids.
insert into stepwell.trigger as t (id, workflow, pattern, is_declared)
select id, workflow, pattern, is_declared
from (
    select id, workflow, pattern, true as is_declared from unnest($1::text[], $2::text[], $3::text[]) as n(id, workflow, pattern)
    union all
    select id, workflow, pattern, false from stepwell.trigger
    where workflow = any($4::text[]) and is_declared and id <> all($1::text[])
) n
order by id
on conflict (id) do update
set workflow = excluded.workflow, pattern = excluded.pattern, is_declared = excluded.is_declared
where (t.workflow, t.pattern, t.is_declared) is distinct from (excluded.workflow, excluded.pattern, excluded.is_declared)
