-- What vendors allow, counted over all workers.
create table stepwell.budget (
    connection   text collate "C" not null,
    name         text collate "C" not null,
    full_at      timestamptz,
    opens_at     timestamptz,
    reason       text,
    failures     bigint           not null default 0,
    primary key (connection, name)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

comment on table  stepwell.budget is 'One row per allowance of a connection at its vendor. The row without a name also says whether the connection is closed.';
comment on column stepwell.budget.connection is 'The connection.';
comment on column stepwell.budget.name is 'Which of its allowances; empty: the connection itself.';
comment on column stepwell.budget.full_at is 'When the bucket is full again, if nobody takes any more.';
comment on column stepwell.budget.opens_at is 'When the vendor is asked again; null: it was never closed.';
comment on column stepwell.budget.reason is 'Why it was closed.';
comment on column stepwell.budget.failures is 'Failures in a row.';

create table stepwell.place (
    connection text collate "C" not null,
    ticket     text collate "C" not null,
    turn_at    timestamptz      not null,
    primary key (connection, ticket)
) with (autovacuum_vacuum_scale_factor = 0.05);

create index place_turn on stepwell.place (turn_at);

comment on table  stepwell.place is 'One row per request that waits for an allowance: what it needs is taken already.';
comment on column stepwell.place.connection is 'The connection.';
comment on column stepwell.place.ticket is 'Which request of which step.';
comment on column stepwell.place.turn_at is 'When it is its turn.';
