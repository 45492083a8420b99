-- For how long the oldest transaction of anybody in this database has been open: it keeps dead rows. Locks: none.
select max(now() - xact_start) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
