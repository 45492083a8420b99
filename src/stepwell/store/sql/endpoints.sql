-- What verifies deliveries: connections that have secrets of their own for it, or an application. Locks: none.
select c.name, c.connector, c.application, c.settings, c.hook_secrets, c.status, c.revision,
       a.name, a.connector, a.kind, a.settings, a.credentials, a.revision
from stepwell.connection c left join stepwell.application a on a.name = c.application
where c.hook_secrets is not null or c.application is not null
order by c.name
