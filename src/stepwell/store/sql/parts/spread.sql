-- The words of a text `raw` with blanks between, before and after them, as `core/search.py` spreads them.
' ' || regexp_replace(replace(raw, '\n', ' '), '[^a-z0-9\u0080-\U0010ffff]+', ' ', 'g') || ' '
