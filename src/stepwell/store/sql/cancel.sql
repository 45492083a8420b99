-- Cancel an execution: what has not begun ends at once, and so does anything when $3 says so; what has begun is due now, or
-- its worker is told, and ends after its clean-up. The decision is made in SET, on the newest version of the row. A row back
-- says whether it is, or will be, cancelled. If it ends here, the parent that has called it goes on, and the children it has
-- called are asked to be cancelled. A paused one goes on, to clean up. Locks: execution, in the order of the ids, then wait.
with near as materialized (
    select x.id, false as is_parent, true as is_it from stepwell.execution x where x.id = $1::uuid
    union all
    select x.parent_id, true, false from stepwell.execution x where x.id = $1::uuid and x.is_called
    union all
    select c.id, false, false from stepwell.execution c
    where c.parent_id = $1::uuid and c.is_called and c.finished_at is null and $3::boolean
), held as materialized (
    select e.id from stepwell.execution e where e.id = any(array(select id from near)) order by uuid_send(e.id) for no key update
), done as (
    update stepwell.execution x
    set cancel_requested_at = coalesce(x.cancel_requested_at, now()),
        is_told = true, paused_at = null, paused_by = null,
        cancel_reason = $2::text,
        reason = case when x.passes = 0 or $3::boolean then $2::text else 'is being cancelled' end,
        status = case when x.passes = 0 or $3::boolean then 'cancelled' when x.owner is null then 'pending' else x.status end,
        owner = case when not $3::boolean then x.owner end,
        due_at = case when x.owner is null and x.passes > 0 and not $3::boolean then now() end,
        finished_at = case when x.passes = 0 or $3::boolean then now() end
    where x.id = $1::uuid and x.finished_at is null and (select count(*) from held) >= 0
    returning x.status, x.due_at is not null as is_due, x.is_awaited, x.finished_at is not null as has_ended
), parent as (
    update stepwell.execution x
    set {{wake}}
    from done d, near n
    where d.has_ended and n.is_parent and x.id = n.id and x.finished_at is null
    returning x.due_at <= now() as is_due
), children as (
    update stepwell.execution x
    set {{orphan}}
    from done d, near n
    where d.has_ended and not n.is_parent and not n.is_it and x.id = n.id and x.finished_at is null
    returning x.due_at <= now() as is_due, x.is_awaited and x.finished_at is not null as is_awaited
), over as (
    delete from stepwell.wait w using done d where d.has_ended and w.execution_id = $1::uuid
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select $1::uuid, $4::text, case when $3::boolean then 'force-cancel' else 'cancel' end, $2::text
    from done where $4::text is not null
), hint as (
    select pg_notify('stepwell', kind)
    from (select 'done' as kind
          where exists (select from done where is_awaited and has_ended) or exists (select from children where is_awaited)
          union all
          select 'work'
          where (exists (select from done where is_due) or exists (select from parent where is_due)
                 or exists (select from children where is_due))
            and exists (select from stepwell.worker where is_idle)) hints
)
select status, (select count(*) from hint) from done
