-- Connections that a vendor has refused: (name, why, executions that wait for it). Locks: none.
select c.name, coalesce(c.error, ''), (select count(*) from stepwell.need n where n.connection = c.name)
from stepwell.connection c where c.status = 'needs_reauth'
order by c.name limit 5
