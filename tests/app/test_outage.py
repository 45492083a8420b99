"""The database goes away and comes back: nothing that was acknowledged is lost, and nobody has to restart anything."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stepwell import App, DatabaseUnavailable, Step, current_step
from stepwell.runtime.shift import WorkerSettings
from tests.databases import drop_database
from tests.own_server import Server, own_server

LEASE = timedelta(milliseconds=900)  # so that what a dead session owned is free within a second
LIMIT = "60s"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server, running."""
    with own_server() as server:
        yield server


@pytest.fixture
async def app(server: Server) -> AsyncIterator[App]:
    """An App on a database of its own there."""
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        drop_database(connection, "outage")
        connection.execute("create database outage")
    async with App(make_conninfo(server.url, dbname="outage")) as app:
        yield app


@asynccontextmanager
async def working(app: App, short_wait: timedelta = timedelta(seconds=2)) -> AsyncIterator[None]:
    """A worker with a short lease."""
    worker = await app.new_worker(WorkerSettings(lease_for=LEASE, short_wait=short_wait, grace=LEASE, concurrency=20))
    running = asyncio.create_task(worker.run())
    await worker.ready.wait()
    try:
        yield
    finally:
        worker.stop()
        await running


class Progress:
    """Steps that say how far the work has come."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, str]] = Counter()
        self._changed = asyncio.Event()

    async def do(self, number: int) -> int:
        await asyncio.sleep(0)
        self.done[str(current_step().execution_id), current_step().name] += 1
        self._changed.set()
        return number

    async def reached(self, count: int) -> None:
        """Return when so many different steps have run."""
        async with asyncio.timeout(60):
            while len(self.done) < count:
                self._changed.clear()
                await self._changed.wait()


async def under_load(app: App, progress: Progress, disturb: list[object], *, executions: int, steps: int) -> None:
    """Run executions to their end while the disturbances happen, spread over the work."""

    @app.workflow
    async def flow(number: int, step: Step) -> int:
        return sum([await step.run("work", progress.do, number) for _ in range(steps)])

    handles = await app.start_many(flow, range(executions))
    waiting = [asyncio.create_task(handle.result(LIMIT)) for handle in handles]
    async with working(app):
        for turn, disturbance in enumerate(disturb, 1):
            await progress.reached(turn * executions * steps // (len(disturb) + 1))
            await asyncio.to_thread(disturbance)  # type: ignore[arg-type]
        results = await asyncio.gather(*waiting)

    assert results == [steps * number for number in range(executions)]
    assert len(progress.done) == executions * steps
    assert max(progress.done.values()) <= 1 + len(disturb)
    for handle in handles[:3]:
        assert len(await app.steps(handle.id)) == steps


async def test_worker_and_waiting_callers_outlive_restarts_of_the_server_under_load(server: Server, app: App) -> None:
    """F6, F27: stopped in order and killed, in turns."""
    hows = [signal.SIGINT, signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT]

    await under_load(app, Progress(), [lambda how=how: server.restart(how) for how in hows], executions=40, steps=50)


async def test_worker_and_waiting_callers_outlive_cut_connections(server: Server, app: App) -> None:
    """F22, F23, F41: all of them at once, listener included, whatever they were about to say."""

    def cut() -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'outage'")

    await under_load(app, Progress(), [cut] * 4, executions=40, steps=50)


async def test_sleep_that_falls_due_while_the_server_is_down_fires(server: Server, app: App) -> None:
    """F26."""

    @app.workflow
    async def flow(step: Step) -> str:
        await step.sleep("nap", "2s")
        return "woken"

    handle = await app.start(flow)
    async with working(app, short_wait=timedelta(0)):
        while "timer" not in ((seen := await app.get(handle.id)).why or ""):
            assert not seen.status.is_final
        await asyncio.to_thread(server.stop)
        with pytest.raises(DatabaseUnavailable):
            await handle.result("2s")
        await asyncio.to_thread(server.start)
        assert await handle.result(LIMIT) == "woken"


async def test_call_while_the_server_is_down_says_so_and_works_again_after(server: Server, app: App) -> None:
    @app.workflow
    async def flow(number: int) -> int:
        return number

    kept = await app.start(flow, 1, key="kept")
    await asyncio.to_thread(server.stop)
    with pytest.raises(DatabaseUnavailable) as caught:
        await app.start(flow, 2)
    assert "\n" not in str(caught.value)
    await asyncio.to_thread(server.start)

    assert not (await app.start(flow, 1, key="kept")).is_new
    async with working(app):
        assert await kept.result(LIMIT) == 1


async def test_server_that_takes_no_writes_is_waited_for(server: Server, app: App) -> None:
    """F28: a primary that was demoted answers, but only to questions."""

    @app.workflow
    async def flow(number: int) -> int:
        return number

    def set_read_only(value: str) -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute(
                sql.SQL("alter database outage set default_transaction_read_only = {}").format(sql.Literal(value))
            )
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'outage'")

    handle = await app.start(flow, 7, delay="100ms")
    async with working(app):
        await asyncio.to_thread(set_read_only, "on")
        with pytest.raises(DatabaseUnavailable):
            await app.start(flow, 8)
        await asyncio.to_thread(set_read_only, "off")
        assert await handle.result(LIMIT) == 7
