-- A page of a map's stored items, in the order of their keys: $2 is the key after which it begins, $3 where the map ends.
-- Among the keys are those of maps and steps inside a branch that is called like an item (`enrich/#1/#0`): their last part
-- begins after another slash. Locks: none.
select key, kind, digest, is_failure, value from stepwell.checkpoint
where execution_id = $1::uuid and key > $2::text and key < $3::text
  and kind = 'item' and strpos(substr(key, length($3::text)), '/') = 0
order by key limit $4::int
