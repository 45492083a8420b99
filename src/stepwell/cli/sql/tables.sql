-- The rows of our tables, living and dead, by the statistics. Locks: none.
select relname::text, n_live_tup, n_dead_tup from pg_stat_user_tables where schemaname = 'stepwell' order by relname
