-- One application, or all by their names. Locks: none.
select name, connector, kind, settings, credentials, revision
from stepwell.application
where $1::text is null or name = $1::text
order by name
