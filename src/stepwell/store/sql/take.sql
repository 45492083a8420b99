-- Take events that are to be decided for some triggers, the longest ready first, with what they say. Nobody else takes them
-- before $2 seconds have passed: whoever has taken them may have died by then. Locks: dispatch (skipping locked ones).
with due as materialized (
    select d.trigger, d.name, d.address, d.number
    from unnest($1::text[]) as g(id) cross join lateral (
        select d.trigger, d.name, d.address, d.number from stepwell.dispatch d
        where d.trigger = g.id and d.ready_at <= now()
        order by d.ready_at limit $3::int for update skip locked) d
    limit $3::int
), taken as (
    update stepwell.dispatch d set ready_at = now() + $2::float8 * interval '1 second'
    from due
    where d.trigger = due.trigger and d.name = due.name and d.address = due.address and d.number = due.number
    returning d.trigger, d.name, d.address, d.number
)
select t.trigger, t.name, t.address, t.number, v.id, v.sent_at, v.payload
from taken t left join stepwell.event v on v.name = t.name and v.address = t.address and v.number = t.number
order by t.number
