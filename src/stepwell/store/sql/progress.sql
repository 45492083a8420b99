-- How many items of each map of an execution are stored: an item's key is the map's, "/#" and a number. Locks: none.
select left(rtrim(key, '0123456789'), -2), count(*) from stepwell.checkpoint
where execution_id = $1::uuid and kind = 'item' group by 1
