-- A session ends with the server that it was opened on.
alter table stepwell.worker add column server_started_at timestamptz not null default pg_postmaster_start_time();

comment on column stepwell.worker.server_started_at is 'Since when the server runs that the session was opened on. One that follows it may lack commits that the worker was told of, so the session writes nothing there.';
