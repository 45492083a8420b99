-- Remove an application that no connection belongs to: a row back when it was removed. Locks: application.
delete from stepwell.application a
where a.name = $1::text and not exists (select from stepwell.connection c where c.application = a.name)
returning a.name
