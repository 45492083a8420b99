-- Callbacks: URLs that answer a wait, once.
create table stepwell.callback (
    id           uuid        primary key,
    execution_id uuid        not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    answered_at  timestamptz,
    answered_by  text,
    key          text        collate "C" not null,
    name         text        not null,
    prompt       text,
    schema       bytea       not null
) with (fillfactor = 90);

create index callback_execution on stepwell.callback (execution_id);

comment on table  stepwell.callback is 'One row per URL that answers a wait. The URL itself is stored nowhere.';
comment on column stepwell.callback.id is 'Derived from the execution and the durable call that made it. Worth nothing without the signature.';
comment on column stepwell.callback.execution_id is 'Whose wait it answers.';
comment on column stepwell.callback.created_at is 'When it was made.';
comment on column stepwell.callback.expires_at is 'Until when it can be answered.';
comment on column stepwell.callback.answered_at is 'When it was answered; null: it was not.';
comment on column stepwell.callback.answered_by is 'Who has answered it, as they said.';
comment on column stepwell.callback.key is 'The durable call that made it.';
comment on column stepwell.callback.name is 'The event that its answer is.';
comment on column stepwell.callback.prompt is 'What is asked.';
comment on column stepwell.callback.schema is 'The JSON Schema that an answer fits.';

create view stepwell.callbacks as
select c.execution_id, c.key as step, c.name, c.prompt, c.created_at, c.expires_at, c.answered_at, c.answered_by,
       case
           when c.answered_at is not null then 'answered'
           when not exists (select from stepwell.execution x where x.id = c.execution_id and x.finished_at is null) then 'ended'
           when c.expires_at <= now() then 'expired'
           else 'open'
       end as state
from stepwell.callback c;
comment on view stepwell.callbacks is 'The URLs that answer waits, without the URLs: who was asked what, and who has answered when.';

alter table stepwell.audit
    drop constraint audit_action,
    add constraint audit_action check (
        action in ('cancel', 'force-cancel', 'pause', 'resume', 'retry', 'fork', 'resolve', 'answer'));
