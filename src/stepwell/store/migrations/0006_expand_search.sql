-- Looking executions up, and removing those that ended long ago.

-- Newest first by workflow, by status, by both, by neither: a lane for each pair, read side by side.
create index execution_lane on stepwell.execution (workflow, status, created_at, id);
create index execution_ended on stepwell.execution (workflow, finished_at) where finished_at is not null;
create index execution_tags on stepwell.execution using gin (tags) with (fastupdate = off) where tags is not null;
drop index stepwell.execution_failed;

create table stepwell.searchable (
    execution_id uuid        primary key,
    created_at   timestamptz not null,
    finished_at  timestamptz not null,
    words        tsvector    not null
) with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.02);

create index searchable_newest on stepwell.searchable (created_at, execution_id);
create index searchable_words on stepwell.searchable using gin (words);

comment on table  stepwell.searchable is 'The words by which an ended execution can be found. Workers fill it in the background, seconds after the end.';
comment on column stepwell.searchable.execution_id is 'The execution.';
comment on column stepwell.searchable.created_at is 'When it was accepted.';
comment on column stepwell.searchable.finished_at is 'The end that these words are from; after a retry there is another.';
comment on column stepwell.searchable.words is 'Words of its key, tags, reason, input and result, in lower case.';

create table stepwell.upkeep (
    is_only boolean     primary key default true constraint upkeep_only check (is_only),
    reached_at timestamptz not null default '-infinity'
);
insert into stepwell.upkeep default values;

comment on table  stepwell.upkeep is 'How far workers are with what they do beside executions: one row.';
comment on column stepwell.upkeep.is_only is 'There is no second row.';
comment on column stepwell.upkeep.reached_at is 'What ended before this is in searchable.';

create table stepwell.leftover (
    execution_id uuid primary key
);

comment on table  stepwell.leftover is 'Executions that retention has removed, whose steps and events are still to go.';
comment on column stepwell.leftover.execution_id is 'The execution that was.';

create index event_sent on stepwell.event (sent_at);
create index topic_own on stepwell.topic (address) where address like 'x:%';
