-- Whether execution x is what a filter means. $1 to $12 are the filter, the same in every statement that takes one.
(cardinality($1::text[]) = 0 or x.status = any($1::text[]))
and ($2::text is null or x.workflow = $2::text)
and ($3::text is null or x.key = $3::text)
and (cardinality($4::text[]) = 0 or x.tags @> $4::text[])
and ($5::uuid is null or x.parent_id = $5::uuid)
and ($6::timestamptz is null or x.created_at >= $6::timestamptz)
and ($7::timestamptz is null or x.created_at < $7::timestamptz)
and ($8::timestamptz is null or x.finished_at >= $8::timestamptz)
and ($9::timestamptz is null or x.finished_at < $9::timestamptz)
and (cardinality($10::text[]) = 0
     or x.id between $11::uuid and $12::uuid
     or (select case when (select bool_and(strpos(raw, btrim(pattern)) > 0) from unnest($10::text[]) pattern)
                     then (select bool_and(strpos({{spread}}, pattern) > 0) from unnest($10::text[]) pattern) end
         from (select {{raw}} as raw offset 0) texts))
