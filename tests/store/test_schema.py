"""The schema says what it is: comments, checks that equal the model, views that answer an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stepwell.core.model import FailedAttempt, Kind
from stepwell.core.status import MOVES, Status
from stepwell.store.migrate import migrate
from stepwell.store.postgres import PostgresStore
from tests.store.world import DONE, LEASE, MINUTE, PostgresWorld, checkpoint

Raw = psycopg.Connection[Any]

# Counted within one execution, of few versions of the schema, or a hash.
WITHIN_ONE = {
    "execution.passes", "execution.crashes", "execution.signals", "attempt.attempt",
    "execution.version", "checkpoint.digest", "migration.number", "schedule.max_catch_up",
}  # fmt: skip


@pytest.fixture
def raw(postgres: PostgresWorld) -> Iterator[Raw]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


def test_every_table_and_view_has_a_comment(raw: Raw) -> None:
    rows = raw.execute(
        "select relname, obj_description(oid, 'pg_class') from pg_class"
        " where relnamespace = 'stepwell'::regnamespace and relkind in ('r', 'v')"
    ).fetchall()

    assert {name for name, _ in rows} == {
        "worker", "execution", "checkpoint", "attempt", "audit", "topic", "event", "wait", "outbox", "schedule",
        "trigger", "dispatch", "migration", "searchable", "upkeep", "leftover", "budget", "place", "token",
        "application", "connection", "need", "authorisation", "connections",
        "hook", "intake", "delivery", "deliveries", "callback", "callbacks",
        "executions", "steps", "workers", "events", "waits", "schedules", "triggers",
    }  # fmt: skip
    assert [name for name, comment in rows if not comment] == []


def test_every_column_of_a_table_has_a_comment(raw: Raw) -> None:
    rows = raw.execute(
        "select c.relname || '.' || a.attname, col_description(c.oid, a.attnum)"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relnamespace = 'stepwell'::regnamespace and c.relkind = 'r'"
    ).fetchall()

    assert len(rows) > 30
    assert [name for name, comment in rows if not comment] == []


def test_instants_end_in_at_and_know_their_zone(raw: Raw) -> None:
    """F76."""
    rows = raw.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'stepwell'"
        " and (column_name like '%\\_at' or data_type like '%time%' or data_type = 'date')"
    ).fetchall()

    assert rows
    assert {(name.endswith("_at"), kind) for name, kind in rows} == {(True, "timestamp with time zone")}


def test_no_counter_runs_out(raw: Raw) -> None:
    """F37: ids are UUIDs; what counts without end has 64 bits. The others count within one execution."""
    sequences = raw.execute(
        "select sequencename from pg_sequences where schemaname = 'stepwell' and data_type <> 'bigint'::regtype"
    ).fetchall()
    small = raw.execute(
        "select table_name || '.' || column_name from information_schema.columns"
        " where table_schema = 'stepwell' and data_type in ('smallint', 'integer')"
        " and table_name in (select relname from pg_class where relkind = 'r')"
    ).fetchall()

    assert sequences == []
    assert {name for (name,) in small} <= WITHIN_ONE


def _checked_texts(raw: Raw, constraint: str) -> set[str]:
    row = raw.execute(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conname = %s and connamespace = 'stepwell'::regnamespace",
        [constraint],
    ).fetchone()
    assert row is not None
    return set(re.findall(r"'(\w+)'::text", row[0]))


def test_statuses_are_those_of_the_model(raw: Raw) -> None:
    assert _checked_texts(raw, "execution_status") == set(Status)
    assert {status for move in MOVES for status in move} == set(Status)


def test_final_statuses_are_those_of_the_model(raw: Raw) -> None:
    assert _checked_texts(raw, "execution_ended") == {status for status in Status if status.is_final}


def test_kinds_are_those_of_the_model(raw: Raw) -> None:
    assert _checked_texts(raw, "checkpoint_kind") == set(Kind)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'lost'",
        "status = 'running'",
        "owner = gen_random_uuid()",
        "status = 'completed'",
        "finished_at = now()",
        "status = 'completed', finished_at = now()",
    ],
)
async def test_no_statement_can_make_a_row_contradict_itself(postgres: PostgresWorld, raw: Raw, change: str) -> None:
    await postgres.start()

    with pytest.raises(psycopg.errors.CheckViolation):
        raw.execute(f"update stepwell.execution set {change}".encode())


def test_migrations_work_in_another_schema(empty_database_url: str) -> None:
    migrate(empty_database_url, schema="lane_2")

    with psycopg.connect(empty_database_url) as connection:
        schemas = connection.execute(
            "select distinct schemaname from pg_tables where tablename = 'execution'"
        ).fetchall()
        assert schemas == [("lane_2",)]


async def test_store_works_in_another_schema(empty_database_url: str) -> None:
    migrate(empty_database_url, schema="lane_2")
    world = PostgresWorld(empty_database_url)
    world.store = PostgresStore(empty_database_url, schema="lane_2")
    await world.store.open()

    started = await world.running(await world.worker("host:7"))

    assert (await world.see(started)).why == "running on host:7"
    await world.store.close()


# --- what an operator asks --------------------------------------------------------------------------------------------


async def test_operator_sees_what_runs_what_waits_and_why(postgres: PostgresWorld, raw: Raw) -> None:
    session = await postgres.worker("host:7")
    asleep, done, runs = [await postgres.running(session) for _ in range(3)]
    await postgres.suspend(session, asleep)
    await postgres.end(session, done, DONE)
    await postgres.flush(session, checkpoints=[checkpoint(runs)])
    nobodys = await postgres.start(workflow="invoice", input=b'{"n":1}')

    rows = raw.execute("select id, status, why, worker, checkpoints, input from stepwell.executions").fetchall()

    shown = {id: rest for id, *rest in rows}
    due_at = (await postgres.see(asleep)).due_at
    assert shown == {
        runs: ["running", "running on host:7", "host:7", 1, "{}"],
        asleep: ["pending", f"sleeping until {due_at:%Y-%m-%d %H:%M:%S} UTC", None, 0, "{}"],
        done: ["completed", None, None, 0, "{}"],
        nobodys: ["pending", "no worker has this workflow", None, 0, '{"n":1}'],
    }


async def test_operator_reads_the_same_times_in_any_zone(postgres: PostgresWorld, raw: Raw) -> None:
    """F76."""
    session = await postgres.worker()
    await postgres.suspend(session, await postgres.running(session))

    texts = set()
    for zone in ("UTC", "Asia/Kathmandu", "America/St_Johns"):
        raw.execute("select set_config('timezone', %s, false)", [zone])
        texts |= set(raw.execute("select why from stepwell.executions").fetchall())

    assert len(texts) == 1


async def test_operator_sees_steps_and_their_failed_attempts(postgres: PostgresWorld, raw: Raw) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    retry_at = postgres.store.now() + MINUTE
    await postgres.flush(session, attempts=[FailedAttempt(started, "call", 1, retry_at, b'"no"')])
    rows = [
        checkpoint(started, "call", b"3"),
        checkpoint(started, "send", b"\x01zip", is_failure=True),
        checkpoint(started, "winter", b'"2030-01-01T12:00:00Z"', kind=Kind.SLEEP),
    ]
    await postgres.flush(session, checkpoints=rows)

    shown = raw.execute("select step, state, attempt, value from stepwell.steps order by step, attempt").fetchall()

    assert shown == [
        ("call", "attempt failed", 1, '"no"'),
        ("call", "completed", 2, "3"),
        ("send", "failed", 1, None),
        ("winter", "timer set", 1, '"2030-01-01T12:00:00Z"'),
    ]


async def test_operator_sees_the_workers(postgres: PostgresWorld, raw: Raw) -> None:
    await postgres.worker("dead:1")
    postgres.advance(LEASE + MINUTE)
    session = await postgres.worker("host:7", queues=("default", "crm"))
    await postgres.running(session)

    rows = raw.execute("select name, is_alive, running, queues, is_idle from stepwell.workers order by name").fetchall()

    assert rows == [("dead:1", False, 0, ["default"], False), ("host:7", True, 1, ["default", "crm"], False)]
