-- One delivery with what it says. Locks: none.
select v.id, v.received_at, v.source, v.connection, v.type, v.dedupe_key, v.subject, v.executions, v.duplicates, v.is_reconciled,
       v.headers, v.body
from stepwell.delivery v where v.id = $1::uuid
