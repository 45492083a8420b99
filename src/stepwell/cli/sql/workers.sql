-- How many worker sessions are alive, and how many have expired and were not ended yet. Locks: none.
select count(*) filter (where expires_at > now()), count(*) filter (where expires_at <= now()) from stepwell.worker
