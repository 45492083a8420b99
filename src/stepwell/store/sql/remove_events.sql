-- Remove up to $2 events that were sent more than $1 seconds ago, the earliest first, unless somebody waits for the next event
-- of their topic or a trigger has yet to decide about them, and the topics that are empty then. Those that were sent to one
-- execution go with it (see sweep.sql). A topic that is locked is left, and so is one for which somebody has begun to wait
-- meanwhile (`seen`). Numbers of events and waits only grow with the time, so that a topic that begins anew
-- goes on where it was. Locks: topic (skipped when taken), then event, which nobody else changes.
with old as materialized (
    select v.name, v.address, v.number from stepwell.event v
    where v.sent_at < now() - $1::float8 * interval '1 second' and v.address not like 'x:%'
      and not exists (select from stepwell.wait w where w.name = v.name and w.address = v.address)
      and (select d.number from stepwell.trigger g join stepwell.dispatch d on d.trigger = g.id
           where d.name = v.name and d.address = v.address and d.number = v.number limit 1) is null
    order by v.sent_at limit $2::int
), empty as materialized (
    select t.name, t.address from stepwell.topic t
    join (select name, address, waits from stepwell.topic) seen
      on seen.name = t.name and seen.address = t.address and seen.waits = t.waits
    where (t.name, t.address) in (select name, address from old)
      and not exists (
          select from stepwell.event v
          where v.name = t.name and v.address = t.address and (v.name, v.address, v.number) not in (select * from old))
    for update of t skip locked
), topics as (
    delete from stepwell.topic t using empty e where t.name = e.name and t.address = e.address
), gone as (
    delete from stepwell.event v using old o
    where v.name = o.name and v.address = o.address and v.number = o.number
    returning 1
)
select count(*)::int from gone
