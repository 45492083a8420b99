-- All schedules as they are now, those no longer declared among them, by id; or the one that is asked for. Locks: none.
select now() as now, s.id, s.workflow, s.queue, s.parameter, s.every_seconds, s.cron, s.zone, s.catch_up, s.max_catch_up,
       s.overlap, s.jitter_seconds, s.is_declared, s.revision, s.decided_at, s.next_at, s.last_at, s.paused_at, s.note,
       array(select x.id from (
               select e.id from stepwell.execution e where e.schedule = s.id and e.finished_at is null limit 100) x
               order by x.id) as unfinished
from stepwell.schedule s
where s.id = $1::text or $1::text is null
order by s.id
