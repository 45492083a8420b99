select c.id, c.execution_id, c.key, c.name, c.prompt, c.schema, c.created_at, c.expires_at, c.answered_at, c.answered_by,
       not exists (select from stepwell.execution x where x.id = c.execution_id and x.finished_at is null)
from stepwell.callback c
