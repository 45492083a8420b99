-- Applications of GitHub that act as their installation in an account.
alter table stepwell.application
    drop constraint application_kind,
    add constraint application_kind check (kind in ('oauth2-code', 'oauth2-client', 'github-app', 'shared'));

comment on column stepwell.application.kind is 'oauth2-code (a person consents), oauth2-client (in its own name), github-app (as its installation), shared (one key for all its connections).';
