-- How far each poll has come.
alter table stepwell.schedule add column cursor text, add column cursor_by text;

comment on column stepwell.schedule.cursor is 'How far a poll has come: the cursor of its latest page, as JSON text.';
comment on column stepwell.schedule.cursor_by is 'The page that moved the cursor there: execution and number.';
