-- Webhooks: which deliveries start what, and the deliveries that were accepted.
create table stepwell.hook (
    id          text collate "C" primary key,
    workflow    text    not null,
    queue       text    not null,
    parameter   text,
    source      text    not null,
    connection  text,
    types       text[]  not null,
    is_declared boolean not null default true
);

comment on table  stepwell.hook is 'One row per trigger by webhooks that some code declares or has declared.';
comment on column stepwell.hook.id is 'Its name, unique; by default that of its workflow.';
comment on column stepwell.hook.workflow is 'The workflow whose executions it starts.';
comment on column stepwell.hook.queue is 'The lane they go to.';
comment on column stepwell.hook.parameter is 'The parameter of the workflow that gets the delivery; null: none does.';
comment on column stepwell.hook.source is 'What kind of vendor sends it.';
comment on column stepwell.hook.connection is 'The only connection whose deliveries count; null: any of that source.';
comment on column stepwell.hook.types is 'Patterns of the types of deliveries, in which a star stands for any text.';
comment on column stepwell.hook.is_declared is 'False: a process that has the workflow no longer declares the trigger; deliveries pass it by.';

create table stepwell.intake (
    is_only  boolean primary key default true constraint intake_only check (is_only),
    revision bigint  not null default 0
);
insert into stepwell.intake default values;

comment on table  stepwell.intake is 'What guards what a process that takes deliveries remembers: one row.';
comment on column stepwell.intake.is_only is 'There is no second row.';
comment on column stepwell.intake.revision is 'Grows, in the same statement, with every change of a hook or of a secret by which deliveries are verified.';

create table stepwell.delivery (
    id            uuid        primary key,
    received_at   timestamptz not null default now(),
    duplicates    bigint      not null default 0,
    is_reconciled boolean     not null default false,
    source        text        collate "C" not null,
    connection    text        collate "C" not null,
    dedupe_key    text        collate "C" not null,
    type          text        not null,
    subject       text,
    executions    uuid[]      not null,
    headers       bytea       not null,
    body          bytea       not null
) with (fillfactor = 95, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create unique index delivery_key on stepwell.delivery (source, connection, dedupe_key);
create index delivery_received on stepwell.delivery (received_at, id);

comment on table  stepwell.delivery is 'One row per delivery of a webhook that was verified and accepted, however often it came.';
comment on column stepwell.delivery.id is 'UUIDv7, made by the process that took it.';
comment on column stepwell.delivery.received_at is 'When it was accepted.';
comment on column stepwell.delivery.duplicates is 'How often it came again.';
comment on column stepwell.delivery.is_reconciled is 'It was found by asking the vendor, which had not sent it by then.';
comment on column stepwell.delivery.source is 'What kind of vendor sent it.';
comment on column stepwell.delivery.connection is 'Whose secret has verified it; empty: it belongs to no connection.';
comment on column stepwell.delivery.dedupe_key is 'The vendor''s identity of the delivery: a second one is a duplicate.';
comment on column stepwell.delivery.type is 'What has happened, in the vendor''s word.';
comment on column stepwell.delivery.subject is 'What the event is about, the same however it is told of; null: nobody can know.';
comment on column stepwell.delivery.executions is 'The executions that it has started, and those that replays of it have.';
comment on column stepwell.delivery.headers is 'The request''s headers that are no secrets, as stored JSON.';
comment on column stepwell.delivery.body is 'The request''s body, byte for byte.';

create view stepwell.deliveries as
select v.id, v.received_at, v.source, nullif(v.connection, '') as connection, v.type, v.subject, v.dedupe_key, v.duplicates,
       v.is_reconciled, v.executions, octet_length(v.body) as body_bytes, convert_from(v.headers, 'UTF8') as headers
from stepwell.delivery v;
comment on view stepwell.deliveries is 'The webhooks that were accepted and are kept, and which executions each has started. headers is JSON text.';
