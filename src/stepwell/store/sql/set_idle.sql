-- Say whether a worker waits for work. Locks: worker.
update stepwell.worker set is_idle = $2::boolean where id = $1::uuid and is_idle is distinct from $2::boolean
