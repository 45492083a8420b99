-- The engine's tables: who works, what is to be done, what has been done.
create table stepwell.worker (
    id          uuid        primary key,
    name        text        not null,
    workflows   text[]      not null,
    queues      text[]      not null,
    is_idle     boolean     not null default false,
    started_at  timestamptz not null default now(),
    expires_at  timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

comment on table  stepwell.worker is 'One row per worker session: the lease of one process on everything it owns. Deleting the row fences the process.';
comment on column stepwell.worker.id is 'The session; execution.owner refers to it.';
comment on column stepwell.worker.name is 'host:pid, for people.';
comment on column stepwell.worker.workflows is 'The workflows this process has; it claims no others.';
comment on column stepwell.worker.queues is 'The queues it claims from.';
comment on column stepwell.worker.is_idle is 'It waits for work: a hint that a start should notify.';
comment on column stepwell.worker.started_at is 'When the session was opened.';
comment on column stepwell.worker.expires_at is 'When the lease ends unless a heartbeat moves it.';

create table stepwell.execution (
    id                  uuid        primary key,
    created_at          timestamptz not null default now(),
    due_at              timestamptz,
    claimed_at          timestamptz,
    started_at          timestamptz,
    finished_at         timestamptz,
    cancel_requested_at timestamptz,
    owner               uuid,
    passes              integer     not null default 0,
    crashes             smallint    not null default 0,
    is_awaited          boolean     not null default false,
    workflow            text        not null,
    queue               text        not null default 'default',
    status              text        not null default 'pending'
        constraint execution_status check (status in ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
    key                 text,
    reason              text,
    tags                text[],
    failed_steps        text[],
    input               bytea       not null,
    result              bytea,
    error               bytea,
    constraint execution_owned check ((owner is not null) = (status = 'running')),
    constraint execution_ended check ((finished_at is not null) = (status in ('completed', 'failed', 'cancelled'))),
    constraint execution_due check (due_at is null or status = 'pending')
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.02);

-- Ready, delayed, sleeping and retry-later are one thing: a row with a due time. A sleeper is a row further right.
create index execution_due on stepwell.execution (queue, due_at) where due_at is not null;
create index execution_suspect on stepwell.execution (queue, due_at) where due_at is not null and crashes >= 2;
create index execution_owner on stepwell.execution (owner) where owner is not null;
create index execution_failed on stepwell.execution (id) where status = 'failed';
create index execution_cancelling on stepwell.execution (owner) where owner is not null and cancel_requested_at is not null;
create unique index execution_key on stepwell.execution (workflow, key) where key is not null;

comment on table  stepwell.execution is 'One durable life of a workflow, with one immutable input.';
comment on column stepwell.execution.id is 'UUIDv7, made by the client.';
comment on column stepwell.execution.created_at is 'When it was accepted.';
comment on column stepwell.execution.due_at is 'When a worker may claim it; null while it runs, waits or has ended.';
comment on column stepwell.execution.claimed_at is 'When the latest pass began.';
comment on column stepwell.execution.started_at is 'When the first pass began.';
comment on column stepwell.execution.finished_at is 'When it ended.';
comment on column stepwell.execution.cancel_requested_at is 'When cancelling a running execution was accepted; it will end as cancelled.';
comment on column stepwell.execution.owner is 'The worker session that runs it now.';
comment on column stepwell.execution.passes is 'How often it was claimed.';
comment on column stepwell.execution.crashes is 'How many workers in a row died while they ran it.';
comment on column stepwell.execution.is_awaited is 'Somebody waits for its end and wants to be notified.';
comment on column stepwell.execution.workflow is 'Id of the workflow.';
comment on column stepwell.execution.queue is 'The lane it is claimed from.';
comment on column stepwell.execution.status is 'pending (claimable at due_at), running (leased), waiting (for something without a time), completed, failed, cancelled.';
comment on column stepwell.execution.key is 'The caller''s idempotency key, unique within the workflow.';
comment on column stepwell.execution.reason is 'Why it is where it is, in words.';
comment on column stepwell.execution.tags is 'The caller''s labels.';
comment on column stepwell.execution.failed_steps is 'The steps whose failure ended it; retry runs these again.';
comment on column stepwell.execution.input is 'The arguments, as stored JSON; immutable.';
comment on column stepwell.execution.result is 'What the workflow returned, as stored JSON.';
comment on column stepwell.execution.error is 'What ended it, as stored JSON: type, message, traceback.';

create table stepwell.checkpoint (
    execution_id uuid        not null,
    recorded_at  timestamptz not null default now(),
    digest       integer     not null,
    is_failure   boolean     not null,
    kind         text        not null
        constraint checkpoint_kind check (kind in ('step', 'sleep', 'value', 'map', 'item', 'transaction')),
    key          text collate "C" not null,
    value        bytea       not null,
    primary key (execution_id, key)
) with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.02);

comment on table  stepwell.checkpoint is 'The stored outcome of a step, sleep or other durable call. Inserted once, never changed.';
comment on column stepwell.checkpoint.execution_id is 'The execution it belongs to.';
comment on column stepwell.checkpoint.recorded_at is 'When it was stored.';
comment on column stepwell.checkpoint.digest is 'Digest of the arguments: a call with others is not this one.';
comment on column stepwell.checkpoint.is_failure is 'The value is the error of a step that used up its attempts.';
comment on column stepwell.checkpoint.kind is 'What made it.';
comment on column stepwell.checkpoint.key is 'The name within the execution, with an ordinal when repeated: fetch, fetch#2; enrich/#17 is item 17 of a map.';
comment on column stepwell.checkpoint.value is 'What it returned (or the error), as stored JSON.';

create table stepwell.attempt (
    execution_id uuid        not null,
    key          text collate "C" not null,
    attempt      integer     not null,
    failed_at    timestamptz not null default now(),
    retry_at     timestamptz not null,
    error        bytea       not null,
    primary key (execution_id, key, attempt)
) with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

comment on table  stepwell.attempt is 'A failed try of a step that will be tried again.';
comment on column stepwell.attempt.execution_id is 'The execution it belongs to.';
comment on column stepwell.attempt.key is 'The step.';
comment on column stepwell.attempt.attempt is 'Counted from 1.';
comment on column stepwell.attempt.failed_at is 'When it failed.';
comment on column stepwell.attempt.retry_at is 'Not tried again before.';
comment on column stepwell.attempt.error is 'What it raised, as stored JSON: type, message, traceback.';

-- For operators and their tools; these columns are a promise, the tables' are not.
create view stepwell.executions as
select e.id, e.workflow, e.queue, e.status,
       case
           when e.status = 'running' and e.cancel_requested_at is not null then 'being cancelled by ' || coalesce(w.name, 'its worker')
           when e.status = 'running' and w.expires_at < now() then 'its worker ' || w.name || ' has died; taken over within seconds'
           when e.status = 'running' then 'running on ' || coalesce(w.name, 'a worker that has died')
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
       convert_from(case when substr(e.error, 1, 1) <> '\x01' then e.error end, 'UTF8') as error
from stepwell.execution e left join stepwell.worker w on w.id = e.owner;
comment on view stepwell.executions is 'What runs, what waits and why. input, result and error are JSON text, null when stored compressed.';

create view stepwell.steps as
select c.execution_id, c.key as step, c.kind, case when c.is_failure then 'failed' else 'completed' end as state,
       c.recorded_at, null::timestamptz as retry_at,
       (select count(*) from stepwell.attempt a where a.execution_id = c.execution_id and a.key = c.key) + 1 as attempt,
       convert_from(case when substr(c.value, 1, 1) <> '\x01' then c.value end, 'UTF8') as value
from stepwell.checkpoint c
union all
select a.execution_id, a.key, case when a.key ~ '/#[0-9]+$' then 'item' else 'step' end, 'attempt failed', a.failed_at, a.retry_at, a.attempt,
       convert_from(case when substr(a.error, 1, 1) <> '\x01' then a.error end, 'UTF8')
from stepwell.attempt a;
comment on view stepwell.steps is 'Every stored outcome and every failed attempt, per execution. value is JSON text, null when stored compressed.';

create view stepwell.workers as
select w.id, w.name, w.queues, w.workflows, w.is_idle, w.started_at, w.expires_at, w.expires_at > now() as is_alive,
       (select count(*) from stepwell.execution e where e.owner = w.id) as running
from stepwell.worker w;
comment on view stepwell.workers is 'The processes that work, what they have and how much they run.';
