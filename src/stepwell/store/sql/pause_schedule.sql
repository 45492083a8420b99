-- Let a schedule start nothing until it is resumed; who has paused it first stays on record. Locks: schedule.
update stepwell.schedule
set paused_at = coalesce(paused_at, now()), next_at = null, revision = revision + 1,
    note = case when paused_at is null then $2::text else note end
where id = $1::text
returning id
