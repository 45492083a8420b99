-- The vendor has answered: failures are no longer in a row. Locks: budget.
update stepwell.budget set failures = 0 where connection = $1::text and name = '' and failures > 0
