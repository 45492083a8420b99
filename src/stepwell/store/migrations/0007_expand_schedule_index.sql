-- The index of a schedule's executions compares as schedule.id does; else it is read from end to end.
drop index stepwell.execution_schedule;
create index execution_schedule on stepwell.execution (schedule collate "C") where schedule is not null and finished_at is null;
