-- Triggers whose code raises when it is to decide about an event: (trigger, events, what it raised). Locks: none.
select d.trigger, count(*), max(d.error) from stepwell.dispatch d where d.error is not null
group by d.trigger order by count(*) desc, d.trigger limit 5
