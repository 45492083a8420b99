-- One callback. Locks: none.
{{callback}} where c.id = $1::uuid
