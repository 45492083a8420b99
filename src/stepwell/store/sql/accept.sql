-- Accept deliveries with the executions that they start, all of them, if the intake's revision is still $1; else no row, and
-- nothing is changed. A delivery whose key is stored already starts nothing: it is counted, and answered with what the first
-- one has started. An execution that is there already by its key is named, not made. The executions of the delivery $2[n]
-- are those of $13 from the place first[n] to last[n]; within one call an execution key has one id, and a delivery key comes
-- once (the caller sees to both). Of two calls that race, the second waits for the first and finds what it has made. One
-- that retention removes at this very moment is stored anew and starts nothing again. Workers that wait for work get one
-- hint. Locks: execution, only where a key is just being started, in the order of the keys; then delivery, in that of its key.
with d as materialized (
    select n.*, (select true from stepwell.delivery v
                 where v.source = n.source and v.connection = n.connection and v.dedupe_key = n.dedupe_key
                 limit 1) is not null as is_known
    from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[],
                $10::boolean[], $11::int4[], $12::int4[], $19::int4[])
        as n(id, source, connection, dedupe_key, type, subject, headers, body, is_reconciled, first, last, duplicates)
    where (select revision from stepwell.intake where is_only) = $1::int8
), n as materialized (
    select distinct on (s.id) s.*
    from unnest($13::uuid[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::bytea[])
        with ordinality s(id, delivery, workflow, queue, key, input, place)
    where exists (select from d) and s.delivery not in (select id from d where is_known)
    order by s.id, s.place
), taken as materialized (
    select n.id as instead_of, e.id from n join stepwell.execution e on e.workflow = n.workflow and e.key = n.key
), made as (
    insert into stepwell.execution as e (id, workflow, queue, key, input, due_at)
    select n.id, n.workflow, n.queue, n.key, n.input, now() from n
    where n.id not in (select instead_of from taken)
    order by n.workflow, n.key
    on conflict (workflow, key) where key is not null do update set key = excluded.key
    returning e.id, e.workflow, e.key
), other as materialized (
    select instead_of, id from taken where id <> instead_of
    union all
    select n.id, m.id
    from (select * from made where id not in (select id from n)) m join n on n.workflow = m.workflow and n.key = m.key
), standing as materialized (
    select count(*) as others from other
), stored as (
    insert into stepwell.delivery as v
        (id, duplicates, is_reconciled, source, connection, dedupe_key, type, subject, executions, headers, body)
    select d.id, d.duplicates, d.is_reconciled, d.source, d.connection, d.dedupe_key, d.type, d.subject,
           case
               when d.is_known then '{}'
               when standing.others = 0 then ($13::uuid[])[d.first:d.last]
               else array(
                   select coalesce(o.id, s.id)
                   from unnest(($13::uuid[])[d.first:d.last]) with ordinality s(id, place)
                   left join other o on o.instead_of = s.id order by s.place)
           end,
           d.headers, d.body
    from d cross join standing
    order by d.source, d.connection, d.dedupe_key
    on conflict (source, connection, dedupe_key) do update
    set duplicates = case when v.id = excluded.id then v.duplicates else v.duplicates + excluded.duplicates + 1 end,
        executions = v.executions || array(select x from unnest(excluded.executions) x where x <> all (v.executions))
    returning v.id, v.source, v.connection, v.dedupe_key, v.executions
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from made) and exists (select from stepwell.worker where is_idle)
)
select s.*, h.hints from stored s cross join (select count(*) as hints from hint) h
