-- Remove up to $2 deliveries that were accepted more than $1 seconds ago, the earliest first; what they have started stays.
-- One that is locked, because it has just come again, is left for the next time: this waits for nobody.
-- Locks: delivery (skipped when taken).
with old as materialized (
    select v.id from stepwell.delivery v
    where v.received_at < now() - $1::float8 * interval '1 second'
    order by v.received_at limit $2::int for update skip locked
), gone as (
    delete from stepwell.delivery where id in (select id from old) returning 1
)
select count(*)::int from gone
