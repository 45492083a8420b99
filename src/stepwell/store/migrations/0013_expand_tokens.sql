-- Tokens of the HTTP API.
create table stepwell.token (
    id           uuid        primary key,
    digest       bytea       not null unique,
    name         text        not null,
    scope        text        not null constraint token_scope check (scope in ('read', 'operate', 'admin')),
    created_by   text        not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_by   text,
    revoked_at   timestamptz
);

create unique index token_name on stepwell.token (name) where revoked_at is null;

comment on table  stepwell.token is 'Who may use the HTTP API, and for what. Rows stay when a token is revoked: with none at all the API serves its own machine without.';
comment on column stepwell.token.id is 'Its identity, made by whoever created it.';
comment on column stepwell.token.digest is 'SHA-256 of its text, which is stored nowhere.';
comment on column stepwell.token.name is 'Who it stands for in the audit; one token that is not revoked has it.';
comment on column stepwell.token.scope is 'What it allows; operate includes read, admin includes both.';
comment on column stepwell.token.created_by is 'Who created it.';
comment on column stepwell.token.created_at is 'When it was created.';
comment on column stepwell.token.last_used_at is 'When it was last used, to the minute.';
comment on column stepwell.token.expires_at is 'From when on it is refused; null: never.';
comment on column stepwell.token.revoked_by is 'Who revoked it.';
comment on column stepwell.token.revoked_at is 'Since when it is refused; null: it is not revoked.';
