-- Control: pausing, forks, and who did what.
alter table stepwell.execution
    add column paused_at timestamptz,
    add column paused_by text,
    add column is_told   boolean not null default false,
    add column fork_of   uuid,
    add column seed      uuid;

comment on column stepwell.execution.paused_at is 'Since when no worker claims it; null: it is not paused.';
comment on column stepwell.execution.paused_by is 'Who paused it.';
comment on column stepwell.execution.is_told is 'Its worker is told at its next write or heartbeat that it is being cancelled or paused.';
comment on column stepwell.execution.fork_of is 'The execution whose history it began with.';
comment on column stepwell.execution.seed is 'The execution whose uuid() and random() it sees: that of the first one of its forks.';

update stepwell.execution set is_told = true where cancel_requested_at is not null and finished_at is null;

-- A paused execution is not among the due ones at all, so that thousands of them cost a claim nothing.
drop index stepwell.execution_due;
drop index stepwell.execution_suspect;
drop index stepwell.execution_cancelling;
create index execution_due on stepwell.execution (queue, due_at) where due_at is not null and paused_at is null;
create index execution_suspect on stepwell.execution (queue, due_at) where due_at is not null and paused_at is null and crashes >= 2;
create index execution_told on stepwell.execution (owner) where owner is not null and is_told;

create table stepwell.audit (
    number       bigint      generated always as identity primary key,
    done_at      timestamptz not null default now(),
    execution_id uuid        not null,
    actor        text        not null,
    action       text        not null
        constraint audit_action check (action in ('cancel', 'force-cancel', 'pause', 'resume', 'retry', 'fork', 'resolve')),
    detail       text
) with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create index audit_execution on stepwell.audit (execution_id, number);

comment on table  stepwell.audit is 'Who changed an execution''s life from outside, and when.';
comment on column stepwell.audit.number is 'Its place.';
comment on column stepwell.audit.done_at is 'When it was accepted.';
comment on column stepwell.audit.execution_id is 'What it was done to.';
comment on column stepwell.audit.actor is 'Who did it, as they said.';
comment on column stepwell.audit.action is 'What was done.';
comment on column stepwell.audit.detail is 'Why, or with what: a reason, or the execution that a fork made.';

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
               select from stepwell.worker k where e.workflow = any(k.workflows) and e.queue = any(k.queues) and k.expires_at > now())
               then 'no worker has this workflow' || coalesce('; ' || e.reason, '')
           when e.status = 'pending' and e.due_at > now()
               then coalesce(e.reason, 'due') || to_char(e.due_at at time zone 'UTC', '" until "YYYY-MM-DD HH24:MI:SS" UTC"')
           when e.status = 'pending' then coalesce(e.reason || '; ', '') || 'ready, waits for a free worker'
           else e.reason
       end as why,
       e.due_at, e.key, e.tags, e.passes, e.crashes, w.name as worker,
       (select count(*) from stepwell.checkpoint c where c.execution_id = e.id) as checkpoints,
       e.created_at, e.started_at, e.claimed_at, e.finished_at,
       convert_from(case when substr(e.input, 1, 1) <> '\x01' then e.input end, 'UTF8') as input,
       convert_from(case when substr(e.result, 1, 1) <> '\x01' then e.result end, 'UTF8') as result,
       convert_from(case when substr(e.error, 1, 1) <> '\x01' then e.error end, 'UTF8') as error,
       e.parent_id, e.parent_key, e.deadline_at, e.paused_at, e.paused_by, e.fork_of
from stepwell.execution e left join stepwell.worker w on w.id = e.owner;
