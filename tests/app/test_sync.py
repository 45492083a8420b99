"""The App for code without an event loop, on one loop after another, and after a fork."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stepwell import (
    App,
    ExecutionCancelled,
    ExecutionFailed,
    InvalidInput,
    InvalidOption,
    KeyConflict,
    ResultTimeout,
    Status,
    SyncStep,
    UnknownExecution,
)

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    """An App whose loop is that of its synchronous form."""
    app = App(database_url)

    @app.workflow(id="double")
    def double(number: int, step: SyncStep) -> int:
        if number < 0:
            raise ValueError("negative")
        return step.run("double", lambda: 2 * number)

    yield app
    app.sync.close()


class Working:
    """A worker in a thread of its own, as a process of its own would be."""

    def __init__(self, app: App) -> None:
        self._worker_app = App(app._given)
        self._worker_app.registry = app.registry
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))

    async def _work(self) -> None:
        async with self._worker_app, self._worker_app.worker():
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)


def test_every_call_has_a_form_without_an_event_loop(app: App) -> None:
    first = app.sync.start("double", 4, key="four", tags=["a"])
    others = app.sync.start_many("double", range(5, 8), keys=["five", "six", "seven"])
    assert first.status() is Status.PENDING
    assert not app.sync.start("double", 4, key="four").is_new

    with Working(app):
        assert first.result("30s") == 8
        assert [handle.result("30s") for handle in others] == [10, 12, 14]
        later = app.sync.start("double", 9, delay="1d")
        assert later.cancel(reason="not needed") is Status.CANCELLED
        with pytest.raises(ExecutionCancelled, match="not needed"):
            app.sync.result(later.id)
        assert app.sync.retry(later.id) is Status.PENDING
        failing = app.sync.start("double", -1)
        with pytest.raises(ExecutionFailed, match="negative"):
            failing.result("30s")

    assert [record.key for record in app.sync.steps(first.id)] == ["double"]
    assert app.sync.get(first.id).key == "four"
    assert len(app.sync.list(workflow="double")) == 6


def test_errors_are_those_of_the_async_calls(app: App) -> None:
    started = app.sync.start("double", 4, key="four")

    with pytest.raises(InvalidInput):
        app.sync.start("double", "four")
    with pytest.raises(KeyConflict):
        app.sync.start("double", 5, key="four")
    with pytest.raises(ResultTimeout):
        started.result("10ms")
    with pytest.raises(UnknownExecution):
        app.sync.get("00000000-0000-0000-0000-000000000001")


def test_many_threads_share_one_app(app: App) -> None:
    with Working(app), ThreadPoolExecutor(16) as threads:
        results = list(
            threads.map(lambda n: app.sync.start("double", n, key=str(n % 40)).result("20s"), [*range(40)] * 2)
        )

    assert results == [2 * n for n in range(40)] * 2
    assert len(app.sync.list()) == 40


def test_app_serves_one_event_loop_after_another(database_url: str) -> None:
    app = App(database_url)

    @app.workflow
    async def double(number: int) -> int:
        return 2 * number

    async def once(number: int) -> int:
        async with app.worker():
            return await (await app.start(double, number)).result("30s")

    assert [asyncio.run(once(number)) for number in (1, 2)] == [2, 4]
    assert app.sync.start(double, 3).is_new
    app.sync.close()
    assert asyncio.run(once(4)) == 8


async def test_app_in_use_on_one_loop_is_refused_on_another_with_the_way_out(database_url: str) -> None:
    app = App(database_url)

    @app.workflow
    async def double(number: int) -> int:
        return 2 * number

    async with app:
        with pytest.raises(InvalidOption, match=r"from other threads use app\.sync, or close it there first"):
            await asyncio.to_thread(lambda: asyncio.run(app.open()))
        assert (await app.start(double, 1)).is_new


def test_closed_app_opens_again_with_its_next_call(app: App) -> None:
    app.sync.start("double", 1)
    app.sync.close()
    app.sync.close()

    assert app.sync.start("double", 2).is_new
    assert len(app.sync.list()) == 2


def test_forked_child_begins_its_own_connections_and_leaves_the_parents_alone(database_url: str) -> None:
    """Pre-forking servers load the application first."""
    if not hasattr(__import__("os"), "fork"):
        pytest.skip("this system has no fork")
    program: list[Any] = [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAMS / "forks.py", database_url]

    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
