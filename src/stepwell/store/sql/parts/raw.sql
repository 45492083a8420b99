-- The texts of execution x in which words can be looked for.
lower(concat_ws(' ', x.key, array_to_string(x.tags, ' '), x.reason,
    left(convert_from(case when substr(x.input, 1, 1) <> '\x01' then x.input end, 'UTF8'), 4000),
    left(convert_from(case when substr(x.result, 1, 1) <> '\x01' then x.result end, 'UTF8'), 4000)))
