-- Schedules: when executions are started without anybody asking, and which executions each has started.
create table stepwell.schedule (
    id              text collate "C" primary key,
    workflow        text        not null,
    queue           text        not null,
    parameter       text,
    every_seconds   float8,
    cron            text,
    zone            text,
    catch_up        text        not null constraint schedule_catch_up check (catch_up in ('none', 'last', 'all')),
    max_catch_up    integer     not null,
    overlap         text        not null constraint schedule_overlap check (overlap in ('skip', 'queue', 'allow', 'replace')),
    jitter_seconds  float8      not null,
    is_declared     boolean     not null default true,
    revision        bigint      not null default 0,
    decided_at      timestamptz not null default now(),
    next_at         timestamptz,
    last_at         timestamptz,
    paused_at       timestamptz,
    note            text,
    constraint schedule_timing check ((every_seconds is null) = (cron is not null) and (cron is null) = (zone is null)),
    constraint schedule_idle check (next_at is null or (is_declared and paused_at is null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create index schedule_next on stepwell.schedule (next_at) where next_at is not null;

comment on table  stepwell.schedule is 'One row per schedule that some code declares or has declared.';
comment on column stepwell.schedule.id is 'Its name, unique; by default that of its workflow.';
comment on column stepwell.schedule.workflow is 'The workflow whose executions it starts.';
comment on column stepwell.schedule.queue is 'The queue they go to.';
comment on column stepwell.schedule.parameter is 'The workflow''s parameter that gets the tick, if there is one.';
comment on column stepwell.schedule.every_seconds is 'It ticks at the multiples of so many seconds since 1970; null for cron.';
comment on column stepwell.schedule.cron is 'It ticks by this cron expression; null for an interval.';
comment on column stepwell.schedule.zone is 'The IANA time zone of the cron expression.';
comment on column stepwell.schedule.catch_up is 'What becomes of ticks that were missed.';
comment on column stepwell.schedule.max_catch_up is 'How many of them start at most, with catch_up = all.';
comment on column stepwell.schedule.overlap is 'What becomes of a tick while an execution of the schedule has not ended.';
comment on column stepwell.schedule.jitter_seconds is 'Executions are spread over so many seconds.';
comment on column stepwell.schedule.is_declared is 'False: a process that has the workflow no longer declares the schedule.';
comment on column stepwell.schedule.revision is 'Grows with every change: whoever has decided on an older row changes nothing.';
comment on column stepwell.schedule.decided_at is 'What becomes of every tick up to here has been decided.';
comment on column stepwell.schedule.next_at is 'When it is looked at next; null while it is paused or no longer declared.';
comment on column stepwell.schedule.last_at is 'The latest tick that has started an execution.';
comment on column stepwell.schedule.paused_at is 'Since when it is paused.';
comment on column stepwell.schedule.note is 'What became of its latest ticks, if that was anything but a start; in words.';

alter table stepwell.execution add column schedule text;
comment on column stepwell.execution.schedule is 'The schedule whose tick it is.';

create index execution_schedule on stepwell.execution (schedule) where schedule is not null and finished_at is null;

create view stepwell.schedules as
select s.id, s.workflow, s.queue,
       case when s.cron is null then 'every ' || s.every_seconds || 's' else 'cron ' || s.cron || ' ' || s.zone end as timing,
       case when not s.is_declared then 'off' when s.paused_at is not null then 'paused' else 'active' end as state,
       s.note as why, s.catch_up, s.max_catch_up, s.overlap, s.jitter_seconds, s.next_at, s.last_at, s.paused_at,
       (select count(*) from stepwell.execution e where e.schedule = s.id and e.finished_at is null) as running
from stepwell.schedule s;
comment on view stepwell.schedules is 'What starts executions by the clock, when next, and why not.';
