-- The rights of a worker that this role lacks on what is there of the schema. Locks: none.
select privilege || ' on ' || name
from (values
    ('stepwell.worker', '{select,insert,update,delete}'::text[]),
    ('stepwell.attempt', '{select,insert,update,delete}'),
    ('stepwell.wait', '{select,insert,update,delete}'),
    ('stepwell.outbox', '{select,insert,update,delete}'),
    ('stepwell.dispatch', '{select,insert,update,delete}'),
    ('stepwell.searchable', '{select,insert,update,delete}'),
    ('stepwell.leftover', '{select,insert,update,delete}'),
    ('stepwell.place', '{select,insert,delete}'),
    ('stepwell.budget', '{select,insert,update}'),
    ('stepwell.application', '{select,insert,update,delete}'),
    ('stepwell.connection', '{select,insert,update,delete}'),
    ('stepwell.need', '{select,insert,delete}'),
    ('stepwell.authorisation', '{select,insert,delete}'),
    ('stepwell.execution', '{select,insert,update,delete}'),
    ('stepwell.topic', '{select,insert,update,delete}'),
    ('stepwell.delivery', '{select,insert,update,delete}'),
    ('stepwell.callback', '{select,insert,update,delete}'),
    ('stepwell.schedule', '{select,insert,update}'),
    ('stepwell.trigger', '{select,insert,update}'),
    ('stepwell.hook', '{select,insert,update}'),
    ('stepwell.token', '{select,insert,update}'),
    ('stepwell.checkpoint', '{select,insert,delete}'),
    ('stepwell.event', '{select,insert,delete}'),
    ('stepwell.audit', '{select,insert,delete}'),
    ('stepwell.upkeep', '{select,update}'),
    ('stepwell.intake', '{select,update}'),
    ('stepwell.migration', '{select}'),
    ('stepwell.executions', '{select}')
) needed (name, privileges), unnest(privileges) privilege
where to_regclass(name) is not null and not has_table_privilege(to_regclass(name), privilege)
