-- The rights of a worker that this role lacks. Locks: none.
select privilege || ' on ' || name
from (values
    ('stepwell.worker', '{select,insert,update,delete}'::text[]),
    ('stepwell.execution', '{select,insert,update}'),
    ('stepwell.checkpoint', '{select,insert,delete}'),
    ('stepwell.attempt', '{select,insert,update,delete}'),
    ('stepwell.migration', '{select}'),
    ('stepwell.executions', '{select}')
) needed (name, privileges), unnest(privileges) privilege
where not has_table_privilege(name, privilege)
