-- Cancels child x, whose parent has ended: at once if it has not begun, else it is told and cleans up.
cancel_requested_at = coalesce(x.cancel_requested_at, now()),
is_told = true, paused_at = null, paused_by = null,
cancel_reason = coalesce(x.cancel_reason, 'its parent has ended'),
reason = case when x.passes = 0 then 'its parent has ended' else 'is being cancelled' end,
status = case when x.passes = 0 then 'cancelled' when x.owner is null then 'pending' else x.status end,
due_at = case when x.owner is null and x.passes > 0 then now() end,
finished_at = case when x.passes = 0 then now() end
