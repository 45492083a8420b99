"""A worker outlives whatever its database answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from stepwell import App, DatabaseNotReady, DatabaseUnavailable, Step
from stepwell.core.model import Claim, ClaimRequest, Reaped, SessionId, WorkerInfo
from stepwell.runtime.worker import Worker
from tests.runtime.lab import SIGNAL_SECONDS, Gate, Lab, LabStore

PASSING = [
    psycopg.errors.QueryCanceled("canceling statement due to statement timeout"),
    psycopg.errors.DiskFull("could not extend file"),
    psycopg.errors.DeadlockDetected("deadlock detected"),
]
TROUBLES = [
    *PASSING,
    psycopg.errors.ProgramLimitExceeded("index row size exceeds"),
    DatabaseNotReady("the schema is being changed"),
    ValueError("a fault of the engine"),
]


class TroubledStore(LabStore):
    """Answers with the errors that wait in its lists, one each time, before it answers properly."""

    def __init__(self) -> None:
        super().__init__()
        self.when_opening: list[Exception] = []
        self.when_claiming: list[Exception] = []
        self.when_idle: list[Exception] = []
        self.asked_to_open = asyncio.Semaphore(0)
        self.has_raised = asyncio.Event()
        self.on_reap: Callable[[], None] = lambda: None
        self.claims_before_each = 0
        self._claims = 0

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:
        self.asked_to_open.release()
        if self.when_opening:
            raise self.when_opening.pop(0)
        self._claims = 0
        return await super().open_session(worker, lease_for=lease_for)

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        self._claims += 1
        if self.when_claiming and self._claims > self.claims_before_each:
            self.has_raised.set()
            raise self.when_claiming.pop(0)
        return await super().claim(session, request)

    async def set_idle(self, session: SessionId, *, is_idle: bool) -> None:
        if self.when_idle:
            self.has_raised.set()
            raise self.when_idle.pop(0)
        await super().set_idle(session, is_idle=is_idle)

    def reap(self, *, max_crashes: int) -> Reaped:
        self.on_reap()
        return super().reap(max_crashes=max_crashes)


class TroubledLab(Lab):
    def __init__(self) -> None:
        super().__init__()
        self.store: TroubledStore = TroubledStore()
        self.app = App(self.store)

        @self.app.workflow
        async def flow() -> str:
            return "done"

        self.flow = flow


@pytest.fixture
async def lab() -> TroubledLab:
    return TroubledLab()


def pauses(caplog: pytest.LogCaptureFixture) -> list[float]:
    """How long the worker said that it waits, in seconds."""
    said = [record.getMessage() for record in caplog.records if record.name == "stepwell.worker"]
    return [float(text.rpartition("trying again in ")[2].split()[0]) for text in said if "trying again" in text]


@pytest.mark.parametrize("error", TROUBLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when", ["when_opening", "when_claiming", "when_idle"])
async def test_worker_goes_on_after_any_error_of_its_database(lab: TroubledLab, error: Exception, when: str) -> None:
    handle = await lab.app.start(lab.flow)
    async with lab.worker():
        await lab.result(handle)
        getattr(lab.store, when).append(error)
        lab.store.cut_off()
        lab.store.bury()
        assert await lab.result(await lab.app.start(lab.flow)) == "done"

        assert getattr(lab.store, when) == []


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when", ["when_claiming", "when_idle"])
async def test_session_goes_on_after_what_the_database_would_take_later(
    lab: TroubledLab, error: Exception, when: str
) -> None:
    """F22: an operator who cancels a claim cuts no step, however long it takes."""
    gate = Gate()

    @lab.app.workflow
    async def slow(step: Step) -> str:
        return await step.run("slow", gate)

    lab.store.claims_before_each = 1
    getattr(lab.store, when).append(error)
    handle = await lab.app.start(slow)
    async with lab.worker(grace=timedelta(0)):
        async with asyncio.timeout(SIGNAL_SECONDS):
            await gate.begun.wait()
            await lab.store.has_raised.wait()
        assert await lab.result(await lab.app.start(lab.flow)) == "done"
        gate.let_go.set()
        assert await lab.result(handle) == "through"

    assert not gate.was_cut.is_set()
    assert len(lab.store.sessions) == 1


async def test_unexpected_error_is_logged_with_its_traceback(
    lab: TroubledLab, caplog: pytest.LogCaptureFixture
) -> None:
    error = psycopg.errors.ProgramLimitExceeded("index row size exceeds")
    lab.store.when_claiming = [error]

    await lab.run(lab.flow)

    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[1] for record in logged] == [error]


async def test_database_that_is_not_ready_at_the_start_is_the_callers_to_know(lab: TroubledLab) -> None:
    lab.store.when_opening = [DatabaseUnavailable("no answer"), DatabaseNotReady("run `stepwell migrate`")]
    worker = Worker(lab.store, lab.app.registry, lab.settings)

    with pytest.raises(DatabaseNotReady, match="stepwell migrate"):
        async with asyncio.timeout(SIGNAL_SECONDS):
            await worker.run()


async def test_session_that_worked_is_no_failure_in_a_row(lab: TroubledLab, caplog: pytest.LogCaptureFixture) -> None:
    """Outages a day apart are each answered at once, not later and later."""
    lab.store.claims_before_each = 1
    lab.store.when_claiming = [DatabaseUnavailable("gone") for _ in range(4)]

    async with lab.worker():
        while lab.store.when_claiming:
            await lab.result(await lab.app.start(lab.flow))
        await lab.result(await lab.app.start(lab.flow))

    assert len(pauses(caplog)) == 4
    assert max(pauses(caplog)) <= 0.3


async def test_pauses_grow_while_nothing_works(lab: TroubledLab, caplog: pytest.LogCaptureFixture) -> None:
    """F7: though each session could be opened, and its end was a change."""
    lab.store.when_claiming = [DatabaseUnavailable("gone") for _ in range(4)]
    loop = asyncio.get_running_loop()
    began = loop.time()

    await lab.run(lab.flow)

    waited = pauses(caplog)
    assert len(waited) == 4
    assert waited[3] >= 1.0
    assert loop.time() - began >= sum(waited) - 0.05 * len(waited)


async def test_stop_cuts_a_pause_short(lab: TroubledLab) -> None:
    lab.store.when_opening = [DatabaseUnavailable("gone") for _ in range(1_000)]
    worker = Worker(lab.store, lab.app.registry, lab.settings)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(SIGNAL_SECONDS):
        for _ in range(4):  # the pause after this one takes a second or more
            await lab.store.asked_to_open.acquire()
        began = asyncio.get_running_loop().time()
        worker.stop()
        await running

    assert asyncio.get_running_loop().time() - began < 0.95


@pytest.mark.parametrize("what", ["on_beat", "on_reap"])
async def test_error_in_the_heartbeat_ends_the_session_not_the_worker(lab: TroubledLab, what: str) -> None:
    gate = Gate()

    @lab.app.workflow
    async def slow(step: Step) -> str:
        return await step.run("slow", gate)

    def fail() -> None:
        setattr(lab.store, what, lambda: None)
        raise psycopg.errors.InternalError_("an answer that nobody has thought of")

    handle = await lab.app.start(slow)
    async with lab.worker(lease_for=timedelta(milliseconds=60)):
        await gate.begun.wait()
        setattr(lab.store, what, fail)
        async with asyncio.timeout(SIGNAL_SECONDS):
            await gate.was_cut.wait()
        gate.let_go.set()
        assert await lab.result(handle) == "through"


async def test_worker_stops_though_all_threads_of_the_loop_are_taken(lab: TroubledLab) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def hog() -> None:
        begun.set()
        let_go.wait(2 * SIGNAL_SECONDS)

    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(1)
    loop.set_default_executor(threads)
    try:
        async with lab.worker():
            hogging = loop.run_in_executor(None, hog)
    finally:
        let_go.set()
    await hogging

    assert begun.is_set()
