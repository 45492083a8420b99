-- Who we are, whether our schema, if it is there, is open to us, and whether we may change or make it. Locks: none.
select current_user, coalesce(has_schema_privilege(n.oid, 'usage'), true),
       coalesce(has_schema_privilege(n.oid, 'create'), has_database_privilege(current_database(), 'create'))
from (select 1) one left join pg_namespace n on n.nspname = 'stepwell'
