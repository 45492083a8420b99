-- Let a paused schedule go on: with its next tick, for those while it was paused are not made up. Locks: schedule.
with resumed as (
    update stepwell.schedule
    set paused_at = null,
        decided_at = case when paused_at is null then decided_at else greatest(decided_at, now()) end,
        next_at = case when is_declared then coalesce(next_at, now()) end,
        revision = revision + 1,
        note = case when paused_at is null then note when not is_declared then 'no longer declared by the code' end
    where id = $1::text
    returning id
)
select id, pg_notify('stepwell', 'schedule') from resumed
