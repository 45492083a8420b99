-- Waiting: events and who waits for them, children and their parents, deadlines, cancelling with clean-up.
alter table stepwell.execution
    add column parent_id     uuid,
    add column parent_key    text collate "C",
    add column is_called     boolean not null default false,
    add column signals       integer not null default 0,
    add column deadline_at   timestamptz,
    add column cancel_reason text,
    drop constraint execution_due,
    add constraint execution_due check (due_at is null or status in ('pending', 'waiting'));

create unique index execution_parent on stepwell.execution (parent_id, parent_key) where parent_id is not null;

comment on column stepwell.execution.parent_id is 'The execution that started it.';
comment on column stepwell.execution.parent_key is 'The durable call of the parent that started it.';
comment on column stepwell.execution.is_called is 'The parent waits for its end, and cancelling the parent cancels it.';
comment on column stepwell.execution.signals is 'Counts what may let it go on: events it waits for, ends of children. A pass that would park, and finds that it has moved since the claim, is due at once.';
comment on column stepwell.execution.deadline_at is 'It does not begin after this time, and stops when it comes.';
comment on column stepwell.execution.cancel_reason is 'Why it was asked to be cancelled.';
comment on column stepwell.execution.status is 'pending (claimable at due_at), running (leased), waiting (for an event or a child, at the latest until due_at), completed, failed, cancelled.';
comment on column stepwell.execution.due_at is 'When a worker may claim it; null while it runs, waits without a time-out or has ended.';
comment on column stepwell.execution.cancel_requested_at is 'When cancelling it was accepted; it will end as cancelled, after its clean-up.';

alter table stepwell.checkpoint
    drop constraint checkpoint_kind,
    add constraint checkpoint_kind check (kind in (
        'step', 'sleep', 'value', 'map', 'item', 'transaction', 'wait', 'first', 'child', 'result', 'event', 'effect', 'intent', 'patch'));

create table stepwell.topic (
    name     text   collate "C" not null,
    address  text   collate "C" not null,
    last     bigint not null default 0,
    previous bigint not null default 0,
    waits    bigint not null default 0,
    primary key (name, address)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

comment on table  stepwell.topic is 'Events of one name and one address, in their order. Its row is the lock between sending and beginning to wait. A row without events and waits may be removed: numbers go by the clock, so that they never come again.';
comment on column stepwell.topic.name is 'What its events are called.';
comment on column stepwell.topic.address is 'Whom they are for: k: and a key, x: and the id of an execution, or empty: triggers only.';
comment on column stepwell.topic.last is 'The number of the newest event.';
comment on column stepwell.topic.previous is 'The number of the event before it.';
comment on column stepwell.topic.waits is 'Grows when somebody begins to wait: a sender that did not see the newest wait looks again.';

create table stepwell.event (
    sent_at timestamptz not null,
    number  bigint      not null,
    name    text        collate "C" not null,
    address text        collate "C" not null,
    id      text        collate "C",
    payload bytea       not null,
    primary key (name, address, number)
) with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.02);

create unique index event_id on stepwell.event (name, address, id) where id is not null;

comment on table  stepwell.event is 'An accepted event. Waits take those of their topic in order; no wait removes one.';
comment on column stepwell.event.sent_at is 'When it was accepted.';
comment on column stepwell.event.number is 'Its place in its topic: microseconds since 1970, and more than that of the event before it.';
comment on column stepwell.event.name is 'What it is called.';
comment on column stepwell.event.address is 'Whom it is for, as in topic.';
comment on column stepwell.event.id is 'The sender''s id for it: sent again, it is accepted once.';
comment on column stepwell.event.payload is 'What it says, as stored JSON.';

create table stepwell.outbox (
    number  bigint generated always as identity primary key,
    name    text   collate "C" not null,
    address text   collate "C" not null,
    id      text   collate "C",
    payload bytea  not null
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create index outbox_topic on stepwell.outbox (name, address, id);

comment on table  stepwell.outbox is 'An event that was sent inside a caller''s transaction, from its commit until a worker puts it into its topic: so that transaction locks nothing that others wait for.';
comment on column stepwell.outbox.number is 'The order in which they were sent.';
comment on column stepwell.outbox.name is 'What it is called.';
comment on column stepwell.outbox.address is 'Whom it is for, as in topic.';
comment on column stepwell.outbox.id is 'The sender''s id for it.';
comment on column stepwell.outbox.payload is 'What it says, as stored JSON.';

create table stepwell.wait (
    execution_id uuid   not null,
    after        bigint not null,
    key          text   collate "C" not null,
    name         text   collate "C" not null,
    address      text   collate "C" not null,
    primary key (execution_id, key, name, address)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create index wait_topic on stepwell.wait (name, address);

comment on table  stepwell.wait is 'A durable call that waits for the next event of a topic.';
comment on column stepwell.wait.execution_id is 'Who waits.';
comment on column stepwell.wait.after is 'The topic''s newest event when it began to wait: it takes the one that follows.';
comment on column stepwell.wait.key is 'The durable call that waits.';
comment on column stepwell.wait.name is 'The topic''s name.';
comment on column stepwell.wait.address is 'The topic''s address.';

create or replace view stepwell.executions as
select e.id, e.workflow, e.queue, e.status,
       case
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
       e.parent_id, e.parent_key, e.deadline_at
from stepwell.execution e left join stepwell.worker w on w.id = e.owner;

create view stepwell.events as
select v.name, case when v.address like 'k:%' then substr(v.address, 3) end as key,
       case when v.address like 'x:%' then substr(v.address, 3)::uuid end as execution_id, v.number, v.id, v.sent_at,
       convert_from(case when substr(v.payload, 1, 1) <> '\x01' then v.payload end, 'UTF8') as payload
from (select name, address, number, id, sent_at, payload from stepwell.event
      union all
      select name, address, null, id, null, payload from stepwell.outbox) v;
comment on view stepwell.events is 'Every event that is kept; without a number: sent inside a transaction just now. payload is JSON text, null when stored compressed.';

create view stepwell.waits as
select w.execution_id, w.key as step, w.name, case when w.address like 'k:%' then substr(w.address, 3) end as key,
       x.workflow, x.status, x.due_at
from stepwell.wait w join stepwell.execution x on x.id = w.execution_id;
comment on view stepwell.waits is 'Which executions wait for which events.';
