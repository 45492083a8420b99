-- Lease due executions to a live session, with their history: a fork (`seed`) has one from its beginning. `c` must be
-- materialised: as a join partner it could be run again and claim more than the limit. An execution that has crashed
-- workers (`s`, suspect) is taken one at a time, so that the next crash blames nobody else; it counts against the limit.
-- Only a claim that has found something asks for the session (`me`): an empty one locks nothing, and so writes nothing. A
-- session that is just being ended is not waited for, because rows are locked here before it: this claim has lost it. Nor
-- does a claim wait for the disk ($9; behind a pooler it does): one that a crash of the server takes back was nobody's but
-- this connection's, which the crash has ended, and whatever its owner stores comes behind it in the log. The update takes
-- the ids as an array: joined with the union, PostgreSQL evaluates that anew for a row that somebody has just changed, and
-- leases more than the limit.
-- The next due time may have passed: somebody, such as a caller who asks to hear of the end, holds that row locked now.
-- An execution begins with the newest version of its workflow that this worker has ($7, $8), and keeps it.
-- `has_post`: events were sent inside transactions, and are to be put into their topics.
-- Locks: execution (skipping locked ones), then worker (shared; skipped when it is being deleted).
with s as materialized (
    select e.id from stepwell.execution e
    where $6::boolean and e.queue = any($2::text[]) and e.due_at <= now() and e.paused_at is null and e.crashes >= 2
      and coalesce(e.workflow || '@' || e.version, e.workflow) = any($3::text[])
    order by e.due_at limit least($4::int, 1) for update skip locked
), c as materialized (
    select d.id, d.due_at
    from unnest($2::text[]) as q(name) cross join lateral (
        select e.id, e.due_at from stepwell.execution e
        where e.queue = q.name and e.due_at >= $5::timestamptz and e.due_at <= now() and e.paused_at is null and e.crashes < 2
          and coalesce(e.workflow || '@' || e.version, e.workflow) = any($3::text[])
        order by e.due_at limit $4::int for update skip locked) d
    limit $4::int - (select count(*)::int from s)
), me as materialized (
    select id, set_config('synchronous_commit',
                          case when $9::boolean then 'off' else current_setting('synchronous_commit') end, true)
    from stepwell.worker
    where id = $1::uuid and server_started_at = pg_postmaster_start_time() and expires_at > now()
      and (exists (select from c) or exists (select from s))
    for key share skip locked
), u as (
    update stepwell.execution x
    set owner = (select id from me), status = 'running', due_at = null, reason = null, passes = x.passes + 1,
        claimed_at = now(), started_at = coalesce(x.started_at, now()),
        version = case when x.passes = 0 and x.fork_of is null
            then (select v.version from unnest($7::text[], $8::int4[]) v(workflow, version) where v.workflow = x.workflow)
            else x.version end
    where exists (select from me) and x.id = any(array(select id from c union all select id from s))
    returning x.id, x.workflow, x.input, x.passes, x.crashes, x.created_at, x.started_at, x.signals, x.cancel_requested_at,
              x.cancel_reason, x.deadline_at, x.parent_id, x.seed, x.version
)
select a.now, a.is_alive, a.next_due_at, a.reached, a.has_post, u.*, h.*, r.*
from (
    select now() as now, (select max(due_at) from c) as reached,
           case when exists (select from c) or exists (select from s) then exists (select from me)
                else exists (select from stepwell.worker
                             where id = $1::uuid and server_started_at = pg_postmaster_start_time() and expires_at > now())
           end as is_alive,
           exists (select from stepwell.outbox) as has_post,
           case when (select count(*) from u) < $4::int then (
               select min(n.due_at) from unnest($2::text[]) as q(name) cross join lateral (
                   select e.due_at from stepwell.execution e
                   where e.queue = q.name and e.due_at >= $5::timestamptz and e.paused_at is null and e.crashes < 2
                     and coalesce(e.workflow || '@' || e.version, e.workflow) = any($3::text[])
                     and e.id not in (select id from c)
                   order by e.due_at limit 1) n) end as next_due_at
) a
left join u on true
left join lateral (
    select array_agg(k.key) as keys, array_agg(k.kind) as kinds, array_agg(k.digest) as digests,
           array_agg(k.is_failure) as failures, array_agg(k.value) as contents
    from stepwell.checkpoint k where (u.passes > 1 or u.seed is not null) and k.execution_id = u.id and k.kind <> 'item'
) h on true
left join lateral (
    select array_agg(t.key) as retry_keys, array_agg(t.attempts) as attempts, array_agg(t.retry_at) as retry_at
    from (select key, max(attempt) as attempts, max(retry_at) as retry_at from stepwell.attempt
          where u.passes > 1 and execution_id = u.id group by key) t
) r on true
