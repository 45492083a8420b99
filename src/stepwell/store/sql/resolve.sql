-- Say what became of an effect whose outcome is unknown: the last intent that is stored of it has neither an outcome nor a
-- failure, and no worker runs the execution. $3 is what it made; null: nothing, and it is tried again. What a worker has
-- stored since this snapshot was taken makes the insert do nothing. Locks: execution.
with found as materialized (
    select id from stepwell.execution where id = $1::uuid and finished_at is null and owner is null for no key update
), intent as materialized (
    select c.digest, substr(c.key, length($2::text || '/#intent') + 1)::int as number
    from stepwell.checkpoint c
    where c.execution_id = $1::uuid and c.kind = 'intent' and starts_with(c.key, $2::text || '/#intent')
    order by number desc limit 1
), stored as (
    insert into stepwell.checkpoint (execution_id, key, kind, digest, is_failure, value)
    select f.id, case when $3::bytea is null then $2::text || '/#failed' || i.number else $2::text end,
           case when $3::bytea is null then 'intent' else 'effect' end, i.digest, false, coalesce($3::bytea, 'null')
    from found f cross join intent i
    where not exists (
        select from stepwell.checkpoint c
        where c.execution_id = $1::uuid and c.key in ($2::text, $2::text || '/#failed' || i.number))
    on conflict do nothing
    returning execution_id
), noted as (
    insert into stepwell.audit (execution_id, actor, action, detail)
    select s.execution_id, $4::text, 'resolve', $2::text || case when $3::bytea is null then ': repeat' else ': value' end
    from stored s
), hint as (
    select pg_notify('stepwell', 'work')
    where exists (select from stored) and exists (select from stepwell.worker where is_idle)
)
update stepwell.execution x
set status = 'pending', due_at = now(), signals = x.signals + 1, reason = 'resolved by hand'
from stored s
where x.id = s.execution_id and (select count(*) from hint) >= 0
returning x.status
