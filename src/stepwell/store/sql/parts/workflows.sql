-- The workflows that have executions, by skipping from one to the next in the index of lanes.
workflows(workflow) as (
    (select x.workflow from stepwell.execution x order by x.workflow limit 1)
    union all
    select (select x.workflow from stepwell.execution x where x.workflow > w.workflow order by x.workflow limit 1)
    from workflows w where w.workflow is not null
)
