-- Until when a call waits: a sender is told only of those who take its event.
alter table stepwell.wait add column until_at timestamptz;

comment on column stepwell.wait.until_at is 'It takes no event that is sent after this time; null: it waits however long.';
