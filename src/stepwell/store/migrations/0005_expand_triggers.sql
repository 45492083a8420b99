-- Events that start executions: by which triggers, and what is still to be decided.
create table stepwell.trigger (
    id          text collate "C" primary key,
    workflow    text    not null,
    pattern     text    not null,
    is_declared boolean not null default true
);

comment on table  stepwell.trigger is 'One row per trigger by events that some code declares or has declared.';
comment on column stepwell.trigger.id is 'Its name, unique; by default that of its workflow.';
comment on column stepwell.trigger.workflow is 'The workflow whose executions it starts.';
comment on column stepwell.trigger.pattern is 'The names of the events, as a pattern of like.';
comment on column stepwell.trigger.is_declared is 'False: a process that has the workflow no longer declares the trigger; events pass it by.';

create table stepwell.dispatch (
    number   bigint      not null,
    ready_at timestamptz not null default now(),
    trigger  text        collate "C" not null,
    name     text        collate "C" not null,
    address  text        collate "C" not null,
    error    text,
    primary key (trigger, name, address, number)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create index dispatch_ready on stepwell.dispatch (trigger, ready_at);

comment on table  stepwell.dispatch is 'An event that is to be decided for one trigger; made with the event, removed together with the start.';
comment on column stepwell.dispatch.number is 'The event''s place in its topic.';
comment on column stepwell.dispatch.ready_at is 'When a worker may take it; whoever takes it moves this on, lest it dies.';
comment on column stepwell.dispatch.trigger is 'The trigger.';
comment on column stepwell.dispatch.name is 'The event''s name.';
comment on column stepwell.dispatch.address is 'The event''s address.';
comment on column stepwell.dispatch.error is 'What the trigger''s code raised when it was to decide.';

create view stepwell.triggers as
select g.id, g.workflow, g.pattern, case when g.is_declared then 'active' else 'off' end as state,
       (select count(*) from stepwell.dispatch d where d.trigger = g.id) as waiting,
       (select d.error from stepwell.dispatch d where d.trigger = g.id and d.error is not null order by d.ready_at desc limit 1) as why
from stepwell.trigger g;
comment on view stepwell.triggers is 'Which events start which workflows, how many are still to be decided, and what went wrong with that.';
