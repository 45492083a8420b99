-- The callbacks of one execution, in the order in which they were made. Locks: none.
{{callback}} where c.execution_id = $1::uuid order by c.created_at, c.id limit $2::int
