-- What sleeps or is delayed says until when, also while no worker has its workflow.
create or replace view stepwell.executions as
select e.id, e.workflow, e.queue, e.status,
       case
           when e.paused_at is not null and e.status <> 'running' and e.finished_at is null
               then 'paused by ' || coalesce(e.paused_by, 'somebody') || coalesce('; ' || e.reason, '')
           when e.status = 'running' and e.paused_at is not null then 'being paused by ' || coalesce(e.paused_by, 'somebody')
           when e.status = 'running' and e.cancel_requested_at is not null then 'being cancelled by ' || coalesce(w.name, 'its worker')
           when e.status = 'running' and w.expires_at < now() then 'its worker ' || w.name || ' has died; taken over within seconds'
           when e.status = 'running' then 'running on ' || coalesce(w.name, 'a worker that has died')
           when e.status = 'waiting' then e.reason || coalesce(to_char(e.due_at at time zone 'UTC', '" until "YYYY-MM-DD HH24:MI:SS" UTC"'), '')
           when e.status = 'pending' and not exists (
               select from stepwell.worker k where coalesce(e.workflow || '@' || e.version, e.workflow) = any(k.workflows) and e.queue = any(k.queues) and k.expires_at > now())
               then 'no worker has ' || coalesce('version ' || e.version || ' of ', '') || 'this workflow' || coalesce('; ' || t.timer, '')
           when e.status = 'pending' and e.due_at > now() then t.timer
           when e.status = 'pending' then coalesce(e.reason || '; ', '') || 'ready, waits for a free worker'
           else e.reason
       end as why,
       e.due_at, e.key, e.tags, e.passes, e.crashes, w.name as worker,
       (select count(*) from stepwell.checkpoint c where c.execution_id = e.id) as checkpoints,
       e.created_at, e.started_at, e.claimed_at, e.finished_at,
       convert_from(case when substr(e.input, 1, 1) <> '\x01' then e.input end, 'UTF8') as input,
       convert_from(case when substr(e.result, 1, 1) <> '\x01' then e.result end, 'UTF8') as result,
       convert_from(case when substr(e.error, 1, 1) <> '\x01' then e.error end, 'UTF8') as error,
       e.parent_id, e.parent_key, e.deadline_at, e.paused_at, e.paused_by, e.fork_of, e.version
from stepwell.execution e left join stepwell.worker w on w.id = e.owner
cross join lateral (
    select case
        when e.due_at > now() then coalesce(e.reason, 'delayed') || to_char(e.due_at at time zone 'UTC', '" until "YYYY-MM-DD HH24:MI:SS" UTC"')
        else e.reason
    end as timer) t;
