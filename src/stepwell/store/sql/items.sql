-- A page of a map's stored items, in the order of their keys: $2 is the key after which it begins, $3 where the map ends.
-- Locks: none.
select key, kind, digest, is_failure, value from stepwell.checkpoint
where execution_id = $1::uuid and key > $2::text and key < $3::text
order by key limit $4::int
