-- What the database saw, kept by triggers, by its own clock. The engine knows nothing of it.
create table booking (
    execution_id uuid not null,
    token        text not null,
    value        integer not null
);
comment on table booking is 'An application''s table that steps write to in their transactions. Nothing here forbids duplicates.';

create schema audit;

create table audit.session (
    id         uuid primary key,
    pid        integer not null,
    process    text not null,
    opened_at  timestamptz not null,
    ended_at   timestamptz,
    expires_at timestamptz,
    was_reaped boolean
);
comment on table audit.session is 'Every worker session there has been; expires_at as it was at the end.';

create table audit.move (
    number       bigint generated always as identity,
    execution_id uuid not null,
    at           timestamptz not null default clock_timestamp(),
    status       text not null,
    owner        uuid,
    passes       integer not null,
    crashes      integer not null,
    due_at       timestamptz,
    flushed_by   text
);
comment on table audit.move is 'Every change of an execution; flushed_by is the process, when a worker stored an outcome.';

create table audit.stored (
    execution_id uuid not null,
    key          text not null,
    at           timestamptz not null default clock_timestamp(),
    owner        uuid,
    value        bytea not null
);
comment on table audit.stored is 'Every result that was stored, and who owned the execution at that moment.';

create function audit.note_session() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into audit.session
        values (new.id, split_part(new.name, ':', 2)::integer, current_setting('application_name'), clock_timestamp());
    else
        update audit.session
        set ended_at = clock_timestamp(), expires_at = old.expires_at, was_reaped = current_query() like '%expires_at < now()%'
        where id = old.id;
    end if;
    perform pg_notify('audit', '');
    return null;
end $$;

create function audit.note_move() returns trigger language plpgsql as $$
begin
    insert into audit.move (execution_id, status, owner, passes, crashes, due_at, flushed_by)
    values (new.id, new.status, new.owner, new.passes, new.crashes, new.due_at,
            case when current_query() like '%insert into stepwell.attempt%'  -- flush, and the short ways of completing
                   or current_query() like '%set owner = null, crashes = 0, status = ''completed''%'
                 then current_setting('application_name') end);
    perform pg_notify('audit', '');
    return null;
end $$;

create function audit.note_stored() returns trigger language plpgsql as $$
begin
    insert into audit.stored (execution_id, key, owner, value)
    select new.execution_id, new.key, x.owner, new.value from stepwell.execution x where x.id = new.execution_id;
    perform pg_notify('audit', '');
    return new;
end $$;

create trigger note_session after insert or delete on stepwell.worker for each row execute function audit.note_session();
create trigger note_start after insert on stepwell.execution for each row execute function audit.note_move();
create trigger note_move after update of status, owner, passes on stepwell.execution for each row
    when ((old.status, old.owner, old.passes) is distinct from (new.status, new.owner, new.passes))
    execute function audit.note_move();
create trigger note_stored before insert on stepwell.checkpoint for each row execute function audit.note_stored();
