"""The world of a test: an app lent a memory store, a worker that can die, a clock that only the test moves."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

from stepwell.app.accounts import Accounts
from stepwell.app.application import App
from stepwell.core.model import ExecutionId
from stepwell.core.moments import aware
from stepwell.errors import ExecutionCancelled, ExecutionFailed, InvalidOption
from stepwell.runtime.shift import WorkerSettings
from stepwell.runtime.starters import put_in_force
from stepwell.runtime.worker import Worker
from stepwell.testing.crashes import CrashPoint, Journal, Process, running_process
from stepwell.testing.fakes import Bodies, FakedRegistry
from stepwell.testing.store import LabStore
from stepwell.testing.timekeeper import Standstill, Timekeeper

GRACE = timedelta(seconds=2)  # of real time, for steps that run when the test has ended
LONGEST_DELAY = 1.0  # in the place of a random share: retries wait equally long in every run of a test


class World:
    """What a lab shows to a test.

    With `triggers` those of the app start executions. `first_id` is given to the first execution. At `crash_at` a
    worker dies.
    """

    def __init__(
        self,
        app: App,
        *,
        now: datetime | None = None,
        triggers: bool = False,
        first_id: ExecutionId | None = None,
        crash_at: CrashPoint | None = None,
    ) -> None:
        self.app = app
        self.journal = Journal(crash_at)
        began_at = datetime.now(UTC) if now is None else aware("now", now)
        self.store = LabStore(now=began_at, journal=self.journal, first_id=first_id)
        self.bodies = Bodies()
        self._accounts = Accounts(self.store, is_embedded=False, is_memory=True)
        self._settings = WorkerSettings(
            short_wait=timedelta(0),
            grace=GRACE,
            random=lambda: LONGEST_DELAY,
            replaced=self.bodies.replaced,
            connected=self._accounts.connected,
            links=app.links,
        )
        self._has_triggers = triggers
        self._working: asyncio.Task[None] | None = None
        self._is_ending = False

    def lend(self) -> None:
        """Lend the app the store; its first call begins to work. Raises InvalidOption when it has no workflows."""
        with ExitStack() as borrowed:
            borrowed.enter_context(self.app.on(self.store))
            self._new_worker()
            self.store.opened = self._begin
            self._borrowed = borrowed.pop_all()

    async def begin(self) -> None:
        """Lend the app the store, and begin to work. Raises InvalidOption when it has no workflows."""
        self.lend()
        await self.app.open()

    async def _begin(self) -> None:
        if self._working is None:
            if self._has_triggers:
                self.store.listening = self.app.registry.listening
                await put_in_force(self.store, self.app.registry)
            self._timekeeper = Timekeeper(self.store, self.app)
            self._keeping = asyncio.create_task(self._timekeeper.run(), name="stepwell-timekeeper")
            self._working = asyncio.create_task(self._work(self._worker), name="stepwell-lab")
            self._keeping.add_done_callback(self._timekeeper.ended)
            self._working.add_done_callback(self._timekeeper.ended)

    async def end(self) -> None:
        """Stop working, and give the app back."""
        self._is_ending = True
        self._worker.stop()
        try:
            if self._working is not None:
                await self._working
                self._keeping.cancel()
            await self._accounts.close()
            await self.app.close()
        finally:
            self._borrowed.close()

    def leave(self) -> None:
        """As `end`, from outside of the event loop, which may have ended, and its tasks with it."""
        loop = None if self._working is None else self._working.get_loop()
        if loop is not None and not loop.is_closed():
            loop.run_until_complete(self.end())
        else:
            self._borrowed.close()

    async def advance(self, by: timedelta) -> None:
        """Let so much time pass, with everything that falls due meanwhile. Raises InvalidOption in a step."""
        if running_process.get() is not None:
            raise InvalidOption("time does not pass while a step runs; let the test advance it")
        await self._open()
        await self._timekeeper.advance(by)

    async def finish(self) -> None:
        """Let time pass until all executions that there are now have ended, or cannot go on by themselves."""
        for execution in self.store.shown():
            if not execution.status.is_final:
                with suppress(ExecutionFailed, ExecutionCancelled, Standstill):
                    await self.app.result(execution.id)

    async def crash(self) -> None:
        """The worker dies now; return when another one has taken over. In a step: raise, for it goes on no more."""
        await self._open()
        taken_over = self._taken_over
        self._process.die()
        if (own := running_process.get()) is not None:
            own.reach()
        await taken_over.wait()

    async def _open(self) -> None:
        if self._is_ending:
            raise InvalidOption("this lab has ended; use it within its block")
        await self.app.open()

    async def _work(self, worker: Worker) -> None:
        """Worker after worker, as each one dies."""
        while True:
            running_process.set(self._process)
            await worker.run()
            if self._is_ending:
                return
            await worker.join()
            self.store.bury(max_crashes=self._settings.max_crashes)
            taken_over, worker = self._taken_over, self._new_worker()
            taken_over.set()

    def _new_worker(self) -> Worker:
        worker = self._worker = Worker(self.store, FakedRegistry(self.app.registry, self.bodies), self._settings)
        self._process = Process(on_death=self.store.wake, on_noticed=worker.stop)
        self._taken_over = asyncio.Event()
        return worker
