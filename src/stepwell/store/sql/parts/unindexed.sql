-- Executions that may have the words of a search though the index of words does not know them, because they have not ended
-- or ended just now; and those whose id begins like it. All come before the place ($13, $14) and are not older than $15.
unindexed as materialized (
    select x.id, x.created_at from stepwell.execution x
    where x.workflow = any(array(select workflow from workflows)) and x.status = any('{pending,running,waiting}'::text[])
      and x.created_at >= $15::timestamptz and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
    union
    select x.id, x.created_at
    from (select id, created_at from stepwell.execution
          where workflow = any(array(select workflow from workflows))
            and finished_at > (select reached_at - interval '5 seconds' from stepwell.upkeep)
          offset 0) x  -- by the index of ends: they are few, however many were created in that time
    where x.created_at >= $15::timestamptz and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
    union
    select x.id, x.created_at from stepwell.execution x
    where x.id between $11::uuid and $12::uuid
      and x.created_at >= $15::timestamptz and (x.created_at, x.id) < ($13::timestamptz, $14::uuid)
)
