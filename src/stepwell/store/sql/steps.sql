-- A page of what is stored of an execution's steps, ordered by (key, attempt). Locks: none.
select s.key, s.kind, s.is_failure, s.attempt, s.recorded_at, s.retry_at, s.value, s.digest from (
    select c.key, c.kind, c.is_failure, c.recorded_at, null::timestamptz as retry_at, c.value, c.digest,
           1 + (select count(*)::int from stepwell.attempt a where a.execution_id = c.execution_id and a.key = c.key) as attempt
    from stepwell.checkpoint c where c.execution_id = $1::uuid and c.key >= $2::text
    union all
    select a.key, case when a.key ~ '/#[0-9]+$' then 'item' else 'step' end, true, a.failed_at, a.retry_at, a.error, 0, a.attempt
    from stepwell.attempt a where a.execution_id = $1::uuid and a.key >= $2::text
) s
where (s.key, s.attempt) > ($2::text, $3::int)
order by s.key, s.attempt limit $4::int
