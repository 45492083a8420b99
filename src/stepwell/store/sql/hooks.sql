-- The webhook triggers that are declared, by id, and the intake's revision at which they are so; one row without a trigger
-- where there are none. Locks: none.
select i.revision, h.id, h.workflow, h.queue, h.parameter, h.source, h.types, h.connection
from stepwell.intake i left join (select * from stepwell.hook where is_declared) h on true
where i.is_only
order by h.id
