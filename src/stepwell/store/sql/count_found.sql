-- How many executions have each status, of those that a filter with words means. $16 is what the index of words is asked;
-- the place ($13, $14) and $15 leave nothing out. Locks: none.
with recursive {{workflows}}, {{unindexed}}, hits as (
    select s.execution_id as id from stepwell.searchable s where s.words @@ $16::text::tsquery
    union
    select id from unindexed
)
select x.status, count(*) from hits h join stepwell.execution x on x.id = h.id
where {{matches}}
group by x.status
