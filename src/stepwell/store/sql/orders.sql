-- What the worker of these executions is told. Locks: none.
select x.id, x.cancel_requested_at, x.cancel_reason, x.paused_at is not null from stepwell.execution x where x.id = any($1::uuid[])
