-- How far a poll has come, and who has brought it there. Locks: none.
select cursor, cursor_by from stepwell.schedule where id = $1::text
