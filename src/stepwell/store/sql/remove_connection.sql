-- Remove a connection, with the consents that were asked for it: a row back when it was there. Who waits for it goes on, and is
-- told that it is unknown; who begins to wait after this statement's snapshot looks again by itself, within the hour.
-- Deliveries are judged anew. Locks: connection, execution in the order of the ids, intake.
with removed as (
    delete from stepwell.connection where name = $1::text returning name
), told as (
    update stepwell.intake set revision = revision + 1 where is_only and exists (select from removed)
), unasked as (
    delete from stepwell.authorisation a using removed r where a.connection = r.name
), over as materialized (
    select 'was removed' as why from removed
), {{released}}
select name, (select count(*) from hint) from removed
