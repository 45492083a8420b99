-- Note that an execution waits until a connection is ok again, unless it is: no row back. Whoever makes it ok either sees this
-- note, or finds `needs` raised and looks again. Locks: connection.
with held as materialized (
    select c.name from stepwell.connection c where c.name = $1::text and c.status <> 'ok' for no key update
), noted as (
    insert into stepwell.need (connection, execution_id) select name, $2::uuid from held
    on conflict do nothing
    returning connection
), counted as (
    update stepwell.connection c set needs = c.needs + 1 from noted n where c.name = n.connection
)
select name from held
