-- A page of the events that are kept, newest first; before them those that were sent inside a transaction just now and are not
-- in their topic yet, which have no time. Of one name, of one address, of one id, if these are given. Locks: none.
select v.name, v.address, v.id, v.sent_at, v.payload from (
    (select o.name, o.address, o.id, null::timestamptz as sent_at, o.payload, o.number
     from stepwell.outbox o
     where ($1::text is null or o.name = $1::text) and ($2::text is null or o.address = $2::text)
       and ($4::text is null or o.id = $4::text)
     order by o.number desc limit $3::int)
    union all
    (select e.name, e.address, e.id, e.sent_at, e.payload, e.number
     from stepwell.event e
     where ($1::text is null or e.name = $1::text) and ($2::text is null or e.address = $2::text)
       and ($4::text is null or e.id = $4::text)
     order by e.sent_at desc, e.name, e.address limit $3::int)
) v
order by v.sent_at desc nulls first, case when v.sent_at is null then v.number end desc, v.name, v.address limit $3::int
