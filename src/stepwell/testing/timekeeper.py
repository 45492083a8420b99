"""When time passes in a lab: only while a test asks for it, and only when nothing can go on without it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from stepwell.app.application import App
from stepwell.client import Client
from stepwell.core.model import Execution
from stepwell.testing.store import LabStore

MAX_JUMPS = 100_000  # while one test waits: an execution that sleeps again and again would never end
SHOWN = 5


class Standstill(AssertionError):
    """What the test waits for cannot come: nothing runs, and no time-out will change that. `executions` are those."""

    def __init__(self, executions: Sequence[Execution], *, why: str) -> None:
        self.executions = executions
        lines = [f"  execution {one.id} of '{one.workflow}' is {one.status}: {one.why}" for one in executions[:SHOWN]]
        more = [f"  and {len(executions) - SHOWN} more"] if len(executions) > SHOWN else []
        super().__init__("\n".join([why, *lines, *more]))


class Timekeeper:
    """Moves the clock of a lab's store. Everything happens on the event loop of the lab."""

    def __init__(self, store: LabStore, app: App) -> None:
        self._store, self._app = store, app
        self._changed = asyncio.Event()
        self._advancing = asyncio.Lock()
        self._target: datetime | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._jumps = 0
        self._client: Client | None = None
        store.changed = self._changed.set

    async def advance(self, by: timedelta) -> None:
        """Let time pass, from due time to due time; return when nothing can go on before the end of it."""
        async with self._advancing:
            self._arrived = asyncio.get_running_loop().create_future()
            self._target, self._jumps = self._store.now() + by, 0
            self._changed.set()
            try:
                await self._arrived
            finally:
                self._target = None

    async def run(self) -> None:
        """Keep time until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._client = await self._app.open()
            await self._look(self._client)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A task of the lab's own has ended: if by an error, whoever waits for something gets it."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error)
        if self._client is not None:
            for execution_id in self._client.awaited:
                self._client.abandon(execution_id, error)

    async def _look(self, client: Client) -> None:
        if not await self._store.is_quiet():
            return
        if self._target is not None and self._arrived is not None:
            await self._go_on_to(self._target, self._arrived)
        elif waited_for := self._store.unfinished(list(client.awaited)):
            await self._go_on_for(waited_for, client)
        else:
            self._jumps = 0

    async def _go_on_to(self, target: datetime, arrived: asyncio.Future[None]) -> None:
        due_at = await self._store.next_due_at()
        if due_at is not None and due_at <= target:
            self._jump(due_at)
        else:
            self._store.clock.set(target)
            self._target = None
            if not arrived.done():
                arrived.set_result(None)

    async def _go_on_for(self, executions: Sequence[Execution], client: Client) -> None:
        """Jump to what is due next, unless nobody waits for anything that could come."""
        parked = [one for one in executions if (one.why or "").startswith("parked")]
        due_at = await self._store.next_due_at()
        if parked:
            _give_up(client, parked, "the code does not fit the history any more:")
        elif due_at is None:
            _give_up(client, executions, "a test waits for the end of what cannot go on by itself:")
        elif self._jumps >= MAX_JUMPS:
            _give_up(client, executions, f"this has not ended after {MAX_JUMPS:,} waits, at {self._store.now()}:")
        else:
            self._jump(due_at)

    def _jump(self, until: datetime) -> None:
        self._jumps += 1
        self._store.pass_time(until)


def _give_up(client: Client, executions: Sequence[Execution], why: str) -> None:
    error = Standstill(executions, why=why)
    for execution in executions:
        client.abandon(execution.id, error)
