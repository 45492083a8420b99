-- The same as newest.sql for a look at thousands of each lane: each is compared where the index has found it, and not looked
-- up again by its id. A plain listing has no use for that: it reads no row that is not on its page. Locks: none.
with recursive lane(workflow, status) as (
    (select x.workflow, x.status from stepwell.execution x
     where x.workflow >= coalesce($2::text, '') order by x.workflow, x.status limit 1)
    union all
    select n.workflow, n.status from lane l cross join lateral (
        select x.workflow, x.status from stepwell.execution x
        where (x.workflow, x.status) > (l.workflow, l.status) order by x.workflow, x.status limit 1) n
    where $2::text is null or n.workflow = $2::text
), seen as materialized (
    select s.* from lane l cross join lateral (
        select x.id, x.created_at, row_number() over (order by x.created_at desc, x.id desc) = $16::int as is_cut,
               {{matches}} as is_meant
        from stepwell.execution x
        where x.workflow = l.workflow and x.status = l.status and x.created_at >= $15::timestamptz
          and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
        order by x.created_at desc, x.id desc limit $16::int) s
    where cardinality($1::text[]) = 0 or l.status = any($1::text[])
), reached as materialized (
    select created_at, id from seen where is_cut order by created_at desc, id desc limit 1
), complete as materialized (
    select s.* from seen s
    where not exists (select from reached r where (s.created_at, s.id) < (r.created_at, r.id))
), page as (
    select x.*
    from (select id from complete where is_meant order by created_at desc, id desc limit $17::int) h
    join stepwell.execution x on x.id = h.id
)
select p.looked_at, p.newest_at, r.created_at, r.id,
       x.id, x.workflow, x.queue, x.status, v.why, x.key, x.tags, x.input, x.result, x.error, x.passes, x.crashes,
       x.due_at, x.created_at, x.started_at, x.finished_at, x.parent_id, x.parent_key, x.deadline_at, x.fork_of, x.seed, x.version
from (select count(*)::int as looked_at, max(c.created_at) as newest_at from complete c) p
left join reached r on true
left join page x on true
left join stepwell.executions v on v.id = x.id
order by x.created_at desc, x.id desc
