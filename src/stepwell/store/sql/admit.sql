-- Take $5 of a budget, or keep a place: whoever has one already ($6) takes nothing more and goes when it is its turn. A
-- closed connection admits nobody. Rows: how many seconds to wait (0: go), why it is closed, and its failures in a row.
-- A budget that grows by nothing ($4) has no bucket. Locks: budget, place.
with gate as materialized (
    select case when opens_at > now() then opens_at end as opens_at, reason, failures
    from stepwell.budget where connection = $1::text and name = ''
), kept as materialized (
    select turn_at as at from stepwell.place where connection = $1::text and ticket = $6::text
), taken as (
    insert into stepwell.budget as b (connection, name, full_at)
    select $1::text, $2::text, now() + least($5::float8, $3::float8) / $4::float8 * interval '1 second'
    where $4::float8 > 0 and not exists (select from kept)
    on conflict (connection, name) do update
    set full_at = greatest(b.full_at, now()) + least($5::float8, $3::float8) / $4::float8 * interval '1 second'
    returning full_at - $3::float8 / $4::float8 * interval '1 second' as at
), turn as materialized (
    select coalesce((select at from kept), greatest((select at from taken), now())) as at,
           (select opens_at from gate) as opens_at
), decided as materialized (
    select at, greatest(at, opens_at) as goes_at, coalesce(opens_at > greatest(at, now()), false) as is_closed from turn
), gone as (
    delete from stepwell.place p using decided d
    where p.connection = $1::text and p.ticket = $6::text and d.goes_at <= now()
), placed as (
    insert into stepwell.place (connection, ticket, turn_at)
    select $1::text, $6::text, d.at from decided d where d.goes_at > now()
    on conflict do nothing
)
select greatest(extract(epoch from goes_at - now()), 0)::float8,
       case when is_closed then (select reason from gate) end,
       coalesce((select failures from gate), 0)
from decided
