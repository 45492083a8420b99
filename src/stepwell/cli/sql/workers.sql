-- How many worker sessions are alive, and how many have expired and were not ended yet. Locks: none.
select count(*) filter (where is_alive), count(*) filter (where not is_alive) from stepwell.workers
