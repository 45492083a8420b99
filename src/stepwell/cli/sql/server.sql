-- The server as this connection meets it. Locks: none.
select current_setting('server_version_num')::int, current_setting('server_version'),
       (select pg_encoding_to_char(encoding) from pg_database where datname = current_database()),
       current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on', current_setting('synchronous_commit'),
       current_setting('autovacuum') = 'on', clock_timestamp()
