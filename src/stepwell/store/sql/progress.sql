-- How many items of each map of an execution are stored. Locks: none.
select split_part(key, '/#', 1), count(*) from stepwell.checkpoint
where execution_id = $1::uuid and kind = 'item' group by 1
