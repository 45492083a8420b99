-- An execution's row changes at its claim and at its end. With room for that on its own page the change is logged as a
-- difference, the page that was read is the page that is written, and what was there before is cleared by the next writer.
alter table stepwell.execution set (fillfactor = 50);
