-- Connections: credentials of accounts, and the applications they belong to. Whatever is secret is sealed before it comes here.
create table stepwell.application (
    name        text collate "C" primary key,
    connector   text        not null,
    kind        text        not null
        constraint application_kind check (kind in ('oauth2-code', 'oauth2-client', 'shared')),
    settings    jsonb       not null,
    credentials bytea       not null,
    revision    bigint      not null default 1,
    created_at  timestamptz not null default now()
);

comment on table  stepwell.application is 'What connections belong to: a client at a vendor, or an account that several share.';
comment on column stepwell.application.name is 'What it is called here.';
comment on column stepwell.application.connector is 'The connector of its connections.';
comment on column stepwell.application.kind is 'oauth2-code (a person consents), oauth2-client (in its own name), shared (one key for all its connections).';
comment on column stepwell.application.settings is 'What is no secret: client id, scopes, addresses.';
comment on column stepwell.application.credentials is 'What is secret, sealed; see the operations manual.';
comment on column stepwell.application.revision is 'Grows with every change.';
comment on column stepwell.application.created_at is 'When it was added.';

create table stepwell.connection (
    name         text collate "C" primary key,
    connector    text        not null,
    application  text collate "C" references stepwell.application (name),
    status       text        not null default 'ok'
        constraint connection_status check (status in ('ok', 'needs_reauth', 'disabled')),
    settings     jsonb       not null,
    credentials  bytea       not null,
    hook_secrets bytea,
    error        text,
    check_error  text,
    expires_at   timestamptz,
    refreshed_at timestamptz,
    renewing_at  timestamptz,
    checked_at   timestamptz,
    created_at   timestamptz not null default now(),
    revision     bigint      not null default 1,
    needs        bigint      not null default 0
);

create index connection_application on stepwell.connection (application) where application is not null;

comment on table  stepwell.connection is 'Credentials of one account at a vendor.';
comment on column stepwell.connection.name is 'What code calls it.';
comment on column stepwell.connection.connector is 'The connector that can use it.';
comment on column stepwell.connection.application is 'The application it belongs to, if any.';
comment on column stepwell.connection.status is 'ok, needs_reauth (somebody has to connect the account again), disabled.';
comment on column stepwell.connection.settings is 'What is no secret: organization, shop, base_url.';
comment on column stepwell.connection.credentials is 'Tokens and keys, sealed.';
comment on column stepwell.connection.hook_secrets is 'The secrets that its webhooks are signed with, sealed: a list, the newest first.';
comment on column stepwell.connection.error is 'Why it is not ok, or what the last refresh met.';
comment on column stepwell.connection.check_error is 'What the last check found; null: nothing.';
comment on column stepwell.connection.expires_at is 'When its access token ends.';
comment on column stepwell.connection.refreshed_at is 'When it got that.';
comment on column stepwell.connection.renewing_at is 'A refresh began then, whose answer is not stored yet.';
comment on column stepwell.connection.checked_at is 'When it was checked last.';
comment on column stepwell.connection.created_at is 'When it was added.';
comment on column stepwell.connection.revision is 'Grows with every change; whoever changes it says which one they have read.';
comment on column stepwell.connection.needs is 'Grows when an execution begins to wait for it: who makes it ok and did not see the newest looks again.';

create table stepwell.need (
    connection   text collate "C" not null,
    execution_id uuid not null,
    primary key (connection, execution_id)
);

create index need_execution on stepwell.need (execution_id);

comment on table  stepwell.need is 'An execution that waits until a connection is ok again.';
comment on column stepwell.need.connection is 'The connection.';
comment on column stepwell.need.execution_id is 'The execution.';

create table stepwell.authorisation (
    state        bytea       primary key,
    connection   text collate "C" not null,
    redirect_uri text        not null,
    verifier     bytea       not null,
    binding      bytea,
    expires_at   timestamptz not null
);

create index authorisation_expired on stepwell.authorisation (expires_at);

comment on table  stepwell.authorisation is 'A consent that a person was asked for at a vendor; removed when it is redeemed.';
comment on column stepwell.authorisation.state is 'SHA-256 of the state that comes back with it.';
comment on column stepwell.authorisation.connection is 'The connection it is for.';
comment on column stepwell.authorisation.redirect_uri is 'Where the vendor sends the person back to.';
comment on column stepwell.authorisation.verifier is 'The code verifier of RFC 7636, sealed.';
comment on column stepwell.authorisation.binding is 'SHA-256 of what only the browser that began it has.';
comment on column stepwell.authorisation.expires_at is 'Not redeemed after this.';

-- For operators and their tools: nothing secret is in it.
create view stepwell.connections as
select c.name, c.connector, c.application, c.status, c.error, c.settings, c.expires_at, c.refreshed_at, c.checked_at, c.check_error,
       (select count(*) from stepwell.need n where n.connection = c.name) as waiting, c.created_at
from stepwell.connection c;
comment on view stepwell.connections is 'The accounts that steps use, whether they can be used, and how many executions wait until they can.';
