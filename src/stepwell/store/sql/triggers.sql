-- All triggers by events, those no longer declared among them, by id. Locks: none.
select g.id, g.workflow, g.pattern, g.is_declared,
       (select count(*) from stepwell.dispatch d where d.trigger = g.id) as waiting,
       (select d.error from stepwell.dispatch d where d.trigger = g.id and d.error is not null order by d.ready_at desc limit 1) as error
from stepwell.trigger g
order by g.id
