-- Delete what is stored of removed executions: at most $1 rows of each table, and of values some $2 bytes beyond the first.
-- An execution of which all is deleted is forgotten. Only workers that sweep look at these rows, and skip those that
-- another one sweeps. Locks: leftover (skipped when taken), then rows that nobody else has a use for.
with gone as materialized (
    select execution_id from stepwell.leftover order by execution_id limit $1::int for update skip locked
), piece as materialized (
    select c.execution_id, c.key from (
        select c.*, sum(c.size) over (order by c.execution_id, c.key rows between unbounded preceding and 1 preceding) as before
        from (
            select c.execution_id, c.key, pg_column_size(c.value) as size
            from gone g cross join lateral (
                select * from stepwell.checkpoint c where c.execution_id = g.execution_id limit $1::int) c
            limit $1::int) c) c
    where coalesce(c.before, 0) < $2::int8
), tries as materialized (
    select a.execution_id, a.key, a.attempt
    from gone g cross join lateral (
        select * from stepwell.attempt a where a.execution_id = g.execution_id limit $1::int) a
    limit $1::int
), notes as materialized (
    select a.number
    from gone g cross join lateral (
        select * from stepwell.audit a where a.execution_id = g.execution_id order by a.number limit $1::int) a
    limit $1::int
), checkpoints as (
    delete from stepwell.checkpoint c using piece p where c.execution_id = p.execution_id and c.key = p.key returning 1
), attempts as (
    delete from stepwell.attempt a using tries t
    where a.execution_id = t.execution_id and a.key = t.key and a.attempt = t.attempt returning 1
), audits as (
    delete from stepwell.audit where number in (select number from notes)
), words as (
    delete from stepwell.searchable where execution_id in (select execution_id from gone)
), waits as (
    delete from stepwell.wait where execution_id in (select execution_id from gone)
), needs as (
    delete from stepwell.need where execution_id in (select execution_id from gone)
), callbacks as (
    delete from stepwell.callback where execution_id in (select execution_id from gone)
), topics as (
    delete from stepwell.topic where address like 'x:%' and address in (select 'x:' || execution_id from gone)
    returning name, address
), events as (
    delete from stepwell.event v using topics t where v.name = t.name and v.address = t.address
), forgotten as (
    delete from stepwell.leftover l using gone g
    where l.execution_id = g.execution_id
      and not exists (
          select from stepwell.checkpoint c where c.execution_id = g.execution_id
            and not exists (select from piece p where p.execution_id = c.execution_id and p.key = c.key))
      and not exists (
          select from stepwell.attempt a where a.execution_id = g.execution_id
            and not exists (select from tries t where t.execution_id = a.execution_id and t.key = a.key and t.attempt = a.attempt))
      and not exists (
          select from stepwell.audit a where a.execution_id = g.execution_id and a.number not in (select number from notes))
    returning 1
)
select (select count(*)::int from gone) - (select count(*)::int from forgotten)
