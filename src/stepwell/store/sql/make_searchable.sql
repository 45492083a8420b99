-- Enter the words of up to $1 ended executions, the earliest ended first, beginning $2 seconds before where the last such
-- statement came to: a write may become visible that late. One worker does it at a time, the others get no row. Nothing of
-- the engine's waits for these rows. Locks: upkeep (skipped when taken), searchable.
with recursive {{workflows}}, turn as materialized (
    select reached_at from stepwell.upkeep for update skip locked
), batch as materialized (
    select b.* from turn t cross join lateral (
        select n.* from workflows w cross join lateral (
            select x.* from stepwell.execution x
            where x.workflow = w.workflow and x.finished_at > t.reached_at - $2::float8 * interval '1 second'
              and not exists (select from stepwell.searchable s where s.execution_id = x.id and s.finished_at = x.finished_at)
            order by x.finished_at limit $1::int) n
        order by n.finished_at limit $1::int) b
), entered as (
    insert into stepwell.searchable (execution_id, created_at, finished_at, words)
    select x.id, x.created_at, x.finished_at,
           array_to_tsvector(array(select distinct left(word, 64) from unnest(string_to_array({{spread}}, ' ')) word where word <> ''))
    from batch x cross join lateral (select {{raw}} as raw offset 0) texts order by x.id
    on conflict (execution_id) do update set finished_at = excluded.finished_at, words = excluded.words
), moved as (
    update stepwell.upkeep set reached_at = greatest(reached_at, (select max(finished_at) from batch)) where exists (select from batch)
)
select count(*)::int from batch
