-- Lets execution x go on: due at once if it waits. If it runs, it meets its `signals` moved when it would park.
signals = x.signals + 1,
status = case when x.status = 'waiting' then 'pending' else x.status end,
due_at = case when x.status = 'waiting' then now() else x.due_at end
