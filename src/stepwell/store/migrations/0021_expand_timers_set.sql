-- A sleep is stored when it begins: its timer is set, which says nothing of its end.
create or replace view stepwell.steps as
select c.execution_id, c.key as step, c.kind,
       case when c.is_failure then 'failed' when c.kind = 'sleep' then 'timer set' else 'completed' end as state,
       c.recorded_at, null::timestamptz as retry_at,
       (select count(*) from stepwell.attempt a where a.execution_id = c.execution_id and a.key = c.key) + 1 as attempt,
       convert_from(case when substr(c.value, 1, 1) <> '\x01' then c.value end, 'UTF8') as value
from stepwell.checkpoint c
union all
select a.execution_id, a.key, case when a.key ~ '/#[0-9]+$' then 'item' else 'step' end, 'attempt failed', a.failed_at, a.retry_at, a.attempt,
       convert_from(case when substr(a.error, 1, 1) <> '\x01' then a.error end, 'UTF8')
from stepwell.attempt a;
