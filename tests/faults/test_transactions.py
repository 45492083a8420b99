"""A step's own transaction when its function runs in a thread: threads go on when nobody waits for them any more."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import psycopg
import pytest

from stepwell import App, ExecutionFailed, Retry, Step, StepFailed
from stepwell.store.transaction import MAX_CONNECTIONS
from tests.faults.processes import SECONDS

ONCE = Retry(1)
CROWD = 8 * MAX_CONNECTIONS

Connection = psycopg.Connection[Any]


@pytest.fixture
def written(database_url: str) -> psycopg.Connection[Any]:
    """A connection that sees what was committed to the table `written`."""
    connection = psycopg.connect(database_url, autocommit=True)
    connection.execute("create table written (what text)")
    return connection


def write(connection: Connection, what: str) -> None:
    connection.execute("insert into written values (%s)", [what])


def rows(connection: Connection) -> list[str]:
    return [what for (what,) in connection.execute("select what from written order by 1")]


async def test_function_that_was_cut_writes_into_no_other_transaction(database_url: str, written: Connection) -> None:
    """I5, F34: a timed-out function goes on in its thread while the next transaction runs."""
    app = App(database_url)
    may_go_on, has_gone_on = Event(), Event()

    def slow(connection: Connection) -> None:
        write(connection, "before the timeout")
        may_go_on.wait(SECONDS)
        try:
            write(connection, "after the timeout")
        finally:
            has_gone_on.set()

    def quick(connection: Connection) -> None:
        may_go_on.set()
        assert has_gone_on.wait(SECONDS)
        write(connection, "the next one")

    @app.workflow
    async def two_transactions(step: Step) -> None:
        with pytest.raises(StepFailed):
            await step(retry=ONCE, timeout="500ms").transaction("slow", slow)
        await step(retry=ONCE).transaction("quick", quick)

    async with app, app.worker():
        await (await app.start(two_transactions)).result(timeout="90s")

    assert rows(written) == ["the next one"]


async def test_function_that_is_cut_in_a_statement_ends(database_url: str, written: Connection) -> None:
    """F34: neither its thread nor its connection is lost."""
    app = App(database_url)
    has_ended = Event()

    def slow(connection: Connection) -> None:
        write(connection, "before the timeout")
        try:
            connection.execute("select pg_sleep(60)")
        finally:
            has_ended.set()

    @app.workflow
    async def long_statement(step: Step) -> None:
        await step(retry=ONCE, timeout="500ms").transaction("slow", slow)

    async with app, app.worker():
        with pytest.raises(ExecutionFailed, match="StepTimeout"):
            await (await app.start(long_statement)).result(timeout="90s")

        assert await asyncio.to_thread(has_ended.wait, SECONDS)
    assert rows(written) == []


async def test_more_transactions_than_connections_and_threads_take_turns(
    database_url: str, written: Connection
) -> None:
    """F34"""
    app = App(database_url)

    @app.workflow
    async def one_transaction(number: int, step: Step) -> None:
        await step(retry=ONCE).transaction("write", write, str(number))

    async with app, app.worker():
        started = await app.start_many(one_transaction, range(CROWD))
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(one.result() for one in started))

    assert len(rows(written)) == CROWD


async def test_cut_while_waiting_for_a_connection_leaks_none(database_url: str, written: Connection) -> None:
    """F34, F35: executions time out while all connections are taken; afterwards all of these are there again."""
    app = App(database_url)
    holding, may_go_on = [Event() for _ in range(MAX_CONNECTIONS)], Event()

    def hold(connection: Connection, number: int) -> None:
        write(connection, f"held {number}")
        holding[number].set()
        may_go_on.wait(SECONDS)

    @app.workflow
    async def long_transaction(number: int, step: Step) -> None:
        await step(retry=ONCE).transaction("hold", hold, number)

    @app.workflow(timeout="100ms")
    async def impatient(number: int, step: Step) -> None:
        await step(retry=ONCE).transaction("write", write, f"impatient {number}")

    async with app, app.worker():
        holders = await app.start_many(long_transaction, range(MAX_CONNECTIONS))
        for held in holding:
            assert await asyncio.to_thread(held.wait, SECONDS)
        for one in await app.start_many(impatient, range(MAX_CONNECTIONS)):
            with pytest.raises(ExecutionFailed, match="timeout"):
                await one.result(timeout="90s")
        may_go_on.set()
        for one in [*holders, *await app.start_many(long_transaction, range(MAX_CONNECTIONS))]:
            await one.result(timeout="90s")

    assert len(rows(written)) == 2 * MAX_CONNECTIONS
