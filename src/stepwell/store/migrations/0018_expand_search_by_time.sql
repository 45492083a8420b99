-- Where in the index of words a time is found: what a search asks for lies mostly near the end of it. Rows stand in the
-- order of their ends, nearly that of their creation, so a summary of each 16 pages is enough, and costs next to nothing.
create index searchable_created on stepwell.searchable using brin (created_at) with (pages_per_range = 16);
