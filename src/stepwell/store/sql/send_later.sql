-- Accept an event inside a caller's transaction: it takes its place in its topic after the commit. No row back: no such
-- execution has this address. Locks: none.
with o as (
    insert into stepwell.outbox (name, address, id, payload)
    select $1::text, $2::text, $3::text, $4::bytea
    where $5::uuid is null or exists (select from stepwell.execution x where x.id = $5::uuid)
    returning number
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from o) and exists (select from stepwell.worker where is_idle)
)
select o.number, (select count(*) from hint) from o
