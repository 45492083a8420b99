-- The schedules of some workflows about which something is to be decided, with the instant at which that is true; when
-- the next one is; and whether some wait for an execution of theirs to end. "One that has not ended" is a subquery with a
-- limit, not an exists, for which the planner may read all executions. Locks: none.
select t.now, t.next_at, t.is_waiting, s.*
from (
    select now() as now,
           (select min(next_at) from stepwell.schedule where next_at > now() and workflow = any($1::text[])) as next_at,
           exists (select from stepwell.schedule s
                   where s.next_at <= now() and s.workflow = any($1::text[]) and s.overlap = 'queue' and (
                       select e.id from stepwell.execution e where e.schedule = s.id and e.finished_at is null limit 1) is not null
                  ) as is_waiting
) t
left join lateral (
    select s.id, s.workflow, s.queue, s.parameter, s.every_seconds, s.cron, s.zone, s.catch_up, s.max_catch_up, s.overlap,
           s.jitter_seconds, s.is_declared, s.revision, s.decided_at, s.next_at, s.last_at, s.paused_at, s.note,
           array(select x.id from (
                 select e.id from stepwell.execution e where e.schedule = s.id and e.finished_at is null limit 100) x
                 order by x.id) as unfinished
    from stepwell.schedule s
    where s.next_at <= now() and s.workflow = any($1::text[]) and (s.overlap <> 'queue' or (
        select e.id from stepwell.execution e where e.schedule = s.id and e.finished_at is null limit 1) is null)
    order by s.next_at limit 100
) s on true
