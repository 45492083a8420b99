-- The next event of each topic after a position; where there is none, the call is registered as waiting, under the lock of
-- the topic's row. A sender either comes before: then this snapshot may have missed its event (`is_blind`), and the caller
-- looks again; or it finds the registration. Nothing is written where an event is found, nor for an execution that has ended. (`is true` keeps a hashed
-- subquery from becoming a quadratic join.)
-- A call that is registered for a topic which is none of those that it now waits for (`among`, where that is said) hears of
-- that, and nothing is written for it.
-- Locks: topic, in the order of (name, address), then wait.
with n as materialized (
    select n.*, found.number, found.sent_at, found.payload,
           coalesce((select p.last from stepwell.topic p where p.name = n.name and p.address = n.address), 0) as last,
           other.name as other_name, other.address as other_address
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::timestamptz[], $7::text[])
        with ordinality as n(execution_id, key, name, address, position, until_at, among, place)
    left join lateral (
        select v.number, v.sent_at, v.payload from stepwell.event v
        where v.name = n.name and v.address = n.address and v.number > n.position
        order by v.number limit 1) found on true
    left join lateral (
        select w.name, w.address from stepwell.wait w
        where n.among is not null and w.execution_id = n.execution_id and w.key = n.key
          and not n.among::jsonb @> jsonb_build_array(jsonb_build_object('name', w.name, 'address', w.address))
        order by w.name, w.address limit 1) other on true
), missing as materialized (
    select n.* from n
    where n.number is null and n.other_name is null
      and exists (select from stepwell.execution x where x.id = n.execution_id and x.finished_at is null)
), t as (
    insert into stepwell.topic as p (name, address, waits)
    select distinct name, address, (extract(epoch from now()) * 1000000)::int8 from missing order by name, address
    on conflict (name, address) do update set waits = greatest(p.waits + 1, excluded.waits)
    returning p.name, p.address, p.last
), registered as (
    insert into stepwell.wait as w (execution_id, key, name, address, after, until_at)
    select distinct on (m.execution_id, m.key, m.name, m.address) m.execution_id, m.key, m.name, m.address, m.last, m.until_at from missing m
    where ((m.name, m.address, m.last) in (select name, address, last from t)) is true
    on conflict (execution_id, key, name, address) do update set after = excluded.after, until_at = excluded.until_at
    where w.after <> excluded.after or w.until_at is distinct from excluded.until_at
)
select n.place, n.number, n.sent_at, n.payload, n.other_name, n.other_address,
       n.place in (select place from missing) and (n.name, n.address, n.last) not in (select name, address, last from t) as is_blind
from n
order by n.place
