"""`app.worker`: how it is set up, and what its block hears of a worker that cannot go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from stepwell import App, DatabaseNotReady, Execution, InvalidOption, Status, Step
from stepwell.core.model import Claim, ClaimRequest, SessionId
from stepwell.runtime.shift import DEFAULTS
from stepwell.store.base import Pulse
from stepwell.store.memory import MemoryStore
from tests.databases import refusal
from tests.runtime.lab import SIGNAL_SECONDS, Lab


class Fatal(BaseException):
    """Nothing that a worker outlives."""


class FatalStore(MemoryStore):
    """Kills the worker that claims while it is armed."""

    is_armed = False

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        if self.is_armed:
            raise Fatal("the end")
        return await super().claim(session, request)


def with_flow(app: App) -> App:
    @app.workflow(id="flow")
    async def flow(number: int, step: Step) -> int:
        return await step.run("double", lambda value: 2 * value, number)

    return app


class Signal(logging.Handler):
    """Says that something of this level or above was logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.came = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.came.set()


@contextmanager
def logged(level: int) -> Iterator[asyncio.Event]:
    """Set as soon as a worker logs something of this level or above."""
    signal, log = Signal(level), logging.getLogger("stepwell.worker")
    log.addHandler(signal)
    try:
        yield signal.came
    finally:
        log.removeHandler(signal)


async def test_worker_that_cannot_begin_raises_its_error_where_it_is_asked_for(database_url: str) -> None:
    app = with_flow(App(database_url))
    async with app:
        with psycopg.connect(database_url) as connection:
            connection.execute("drop table stepwell.worker cascade")

        with pytest.raises(DatabaseNotReady, match="stepwell migrate"):
            async with asyncio.timeout(SIGNAL_SECONDS), app.worker():
                pytest.fail("the block has begun")


# what the database would take later, such as after a statement timeout; and what nobody has thought of
@pytest.mark.parametrize(("code", "level"), [("57014", logging.WARNING), ("22012", logging.ERROR)])
async def test_worker_goes_on_after_an_error_of_the_server(database_url: str, code: str, level: int) -> None:
    """Any error but a lost connection is no reason to end for good."""
    app = with_flow(App(database_url))
    async with app:
        handle = await app.start("flow", 4)
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute(refusal("update of status on stepwell.execution", code, when="new.status = 'running'"))
            with logged(level) as heard:
                async with app.worker():
                    async with asyncio.timeout(SIGNAL_SECONDS):
                        await heard.wait()
                    owner.execute("drop trigger refuse on stepwell.execution")
                    assert await handle.result("30s") == 8


async def test_death_of_a_worker_is_logged_at_once_and_raised_by_its_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FatalStore()
    app = with_flow(App(store))

    async def block() -> None:
        async with app.worker():
            store.is_armed = True
            await app.start("flow", 1)
            async with asyncio.timeout(SIGNAL_SECONDS):
                await heard.wait()

    with logged(logging.ERROR) as heard, pytest.raises(Fatal):
        await block()

    assert [record.levelname for record in caplog.records if "has ended" in record.getMessage()] == ["CRITICAL"]


# --- its options --------------------------------------------------------------------------------------------------


def store_that_notes_leases() -> tuple[MemoryStore, list[tuple[timedelta, int]]]:
    noted: list[tuple[timedelta, int]] = []

    class Noting(MemoryStore):
        def pulse(self, session: SessionId, *, lease_for: timedelta, max_crashes: int) -> Pulse:
            noted.append((lease_for, max_crashes))
            return super().pulse(session, lease_for=lease_for, max_crashes=max_crashes)

    return Noting(), noted


async def test_lease_and_crashes_are_those_that_were_asked_for() -> None:
    store, noted = store_that_notes_leases()
    app = with_flow(App(store))

    async with app.worker(lease="9s", max_crashes=2):
        pass
    async with app.worker():
        pass

    assert noted == [(timedelta(seconds=9), 2), (DEFAULTS.lease_for, DEFAULTS.max_crashes)]


async def called_otherwise(**options: Any) -> Execution:
    """How an execution goes on whose completed step is called with another argument after a pass was cut."""
    lab = Lab()
    lab.store.is_hurried = False  # the parked one would soon be looked at again
    given, begun = iter([1, 2]), asyncio.Event()

    @lab.app.workflow
    async def flow(step: Step) -> int:
        first = await step.run("first", lambda value: value, next(given))
        if first == 1 and not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return first

    handle = await lab.app.start(flow)
    async with asyncio.timeout(SIGNAL_SECONDS), lab.app.worker(grace="1ms"):
        await begun.wait()
    async with lab.app.worker(**options):
        return await lab.at_rest(handle)


async def test_changed_arguments_park_the_execution_or_warn(caplog: pytest.LogCaptureFixture) -> None:
    for parked in (await called_otherwise(), await called_otherwise(on_changed_arguments="park")):
        assert parked.status is Status.PENDING
        assert str(parked.why).startswith("parked: 'first'")

    assert (await called_otherwise(on_changed_arguments="warn")).status is Status.COMPLETED
    assert [record.levelname for record in caplog.records if record.name == "stepwell.step"] == ["WARNING"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("lease", "0s", "lease: '0s' is no time at all"),
        ("lease", "soon", "lease: "),
        ("lease", "1ms", "lease is '1ms', use at least 100 ms"),
        ("max_crashes", 0, "max_crashes is 0, use a whole number from 1"),
        ("concurrency", "many", "concurrency is 'many', use a whole number from 1"),
        ("concurrency", 1.5, "concurrency is 1.5, use a whole number from 1"),
        ("step_threads", 0, "step_threads is 0, use a whole number from 1"),
        ("queues", "default", "queues is the text 'default'; give a list of names"),
        ("queues", [""], "'' cannot name a queue"),
        ("queues", [5], "5 cannot name a queue"),
        ("queues", ["a\0"], "cannot name a queue"),
        ("on_changed_arguments", "ignore", "on_changed_arguments is 'ignore', use 'park' or 'warn'"),
    ],
)
async def test_option_that_makes_no_sense_is_refused(option: str, value: Any, message: str) -> None:
    app = with_flow(App(MemoryStore()))

    with pytest.raises(InvalidOption, match=message):
        async with app.worker(**{option: value}):
            pytest.fail("the block has begun")
