-- Accept an event and let go on who waits for it. The topic's row is locked; who began to wait since this statement's
-- snapshot was taken cannot be seen, but has raised `waits`: then nothing is changed and no row `t` comes back, and the
-- caller asks again. An event id that the topic has had is accepted as a repetition: nothing changes. An execution that
-- waits is due now; one that runs finds its `signals` moved when it would park. Counted are those for which this is the
-- next event: not who has got an earlier one already, nor whose time-out has come. With $6 the event is moved here out of the
-- outbox; without, those of its topic that are there come first (`is_behind`). For each trigger of that name it is noted that
-- the event is to be decided.
-- Locks: outbox, topic, then execution in the order of the ids.
with post as materialized (
    select o.number from stepwell.outbox o where o.number = $6::int8 for update
), seen as materialized (
    select coalesce((select p.waits from stepwell.topic p where p.name = $1::text and p.address = $2::text), 0) as waits,
           $5::uuid is null or exists (select from stepwell.execution x where x.id = $5::uuid) as is_known,
           $6::int8 is null and exists (select from stepwell.outbox o where o.name = $1::text and o.address = $2::text) as is_behind,
           exists (select from stepwell.event v where v.name = $1::text and v.address = $2::text and v.id = $3::text) as is_repeated
), t as (
    insert into stepwell.topic as p (name, address, last)
    select $1::text, $2::text, (extract(epoch from clock_timestamp()) * 1000000)::int8 from seen
    where is_known and not is_behind and not is_repeated and ($6::int8 is null or exists (select from post))
    on conflict (name, address) do update
    set previous = p.last, last = greatest(p.last + 1, (extract(epoch from clock_timestamp()) * 1000000)::int8)
    where p.waits = (select waits from seen)
    returning p.last, p.previous
), v as (
    insert into stepwell.event (name, address, number, id, sent_at, payload)
    select $1::text, $2::text, t.last, $3::text, timestamptz 'epoch' + t.last * interval '1 microsecond', $4::bytea from t
    on conflict (name, address, id) where id is not null do nothing
    returning number, sent_at
), dispatched as (
    insert into stepwell.dispatch (trigger, name, address, number)
    select g.id, $1::text, $2::text, v.number
    from v cross join stepwell.trigger g
    where g.is_declared and $1::text like g.pattern
    returning number
), woken as (
    update stepwell.execution x
    set {{wake}},
        reason = case when x.status = 'waiting' then 'event ''' || $1::text || '''' else x.reason end
    from (
        select uuid_send(w.execution_id), w.execution_id,
               bool_or(w.after = t.previous and (w.until_at is null or w.until_at >= v.sent_at)) as is_next
        from stepwell.wait w cross join t cross join v
        where w.name = $1::text and w.address = $2::text
        group by w.execution_id
        order by 1
    ) w
    where x.id = w.execution_id and x.finished_at is null
    returning w.is_next and x.cancel_requested_at is null as has_waited, x.due_at <= now() as is_due
), moved as (
    delete from stepwell.outbox o using post
    where o.number = post.number and (exists (select from t) or exists (select from seen where is_repeated or not is_known))
), hint as (
    select pg_notify('stepwell', kind)
    from (select 'work' as kind where exists (select from woken where is_due)
          union all select 'event' where exists (select from dispatched)) hints
    where exists (select from stepwell.worker where is_idle)
)
select (select is_known from seen), (select is_behind from seen),
       exists (select from t) or (select is_repeated from seen) or ($6::int8 is not null and not exists (select from post)) as is_done,
       exists (select from v), (select count(*)::int from woken where has_waited), (select count(*) from hint)
