"""A worker on the memory store: its time passes by itself, its session can be cut off at any write."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from stepwell import App, Execution, Handle, Status, current_step
from stepwell.core.model import Batch, Claim, ClaimRequest, ExecutionId, Flushed, SessionId, StepRecord, WorkerInfo
from stepwell.errors import DatabaseUnavailable
from stepwell.inputs import NOTHING
from stepwell.runtime.shift import WorkerSettings
from stepwell.runtime.worker import Worker
from stepwell.store.memory import MemoryStore

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SIGNAL_SECONDS = 30.0  # how long a test waits for what must come
MAX_CRASHES = 4


@dataclass(slots=True)
class Cut:
    """A worker loses its database at its n-th claim or flush: before that took effect, or before its answer came."""

    at: int
    is_before: bool


@dataclass(slots=True)
class Session:
    """What the store knows of one session beyond the protocol."""

    lease_for: timedelta
    is_cut: bool = False
    has_noticed: bool = False


class LabStore(MemoryStore):
    """A memory store whose time passes as soon as nothing else can happen, so that a week's sleep ends at once.

    Hearts are taken to beat while it passes. A session that is cut gets no answer any more, as if its process had died.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_hurried = True
        self.sessions: dict[SessionId, Session] = {}
        self.writes = 0
        self.cut: Cut | None = None
        self.on_cut: Callable[[], None] = lambda: None
        self.before_flush: Callable[[Batch], None] = lambda batch: None
        self.on_beat: Callable[[], None] = lambda: None
        self.changed = asyncio.Event()

    def pass_time(self, by: timedelta) -> None:
        """Let time pass while every living worker's heart beats, and look what is due."""
        self.clock.advance(by)
        for session, known in self.sessions.items():
            if not known.is_cut:
                super().beat(session, lease_for=known.lease_for)
        self._hint("work")

    def cut_off(self) -> None:
        """All workers die now."""
        self.on_cut()
        for session in self.sessions.values():
            session.is_cut = True
        self._hint("work")

    @property
    def is_cut(self) -> bool:
        """Whether a worker has died and nothing of it runs any more."""
        return any(session.has_noticed for session in self.sessions.values())

    def bury(self) -> None:
        """The leases of dead workers run out, and somebody notices."""
        self.pass_time(max(session.lease_for for session in self.sessions.values()) + SECOND)
        self.sessions = {id: session for id, session in self.sessions.items() if not session.is_cut}
        self.reap(max_crashes=MAX_CRASHES)

    async def is_busy(self) -> bool:
        return (await self.count())[Status.RUNNING] > 0

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:
        session = await super().open_session(worker, lease_for=lease_for)
        self.sessions[session] = Session(lease_for)
        return session

    async def close_session(self, session: SessionId) -> None:
        self.changed.set()
        if session in self.sessions:
            self.sessions[session].has_noticed = self.sessions[session].is_cut
        self._reach(session)
        await super().close_session(session)

    def beat(self, session: SessionId, *, lease_for: timedelta) -> frozenset[ExecutionId] | None:
        self._reach(session)
        self.on_beat()
        return super().beat(session, lease_for=lease_for)

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        self._write(session, is_before=True)
        claim = await super().claim(session, request)
        if not claim.executions and claim.next_due_at and self.is_hurried and not await self.is_busy():
            self.pass_time(claim.next_due_at - claim.now)
            claim = await super().claim(session, request)
        self._write(session, is_before=False)
        return claim

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        self._write(session, is_before=True)
        self.before_flush(batch)
        flushed = await super().flush(session, batch)
        self._write(session, is_before=False)
        if batch.endings or batch.children:
            self.changed.set()
        if batch.endings and not await self.is_busy():
            self._hint("work")
        return flushed

    def _reach(self, session: SessionId) -> None:
        if session not in self.sessions or self.sessions[session].is_cut:
            raise DatabaseUnavailable("this worker was cut off")

    def _write(self, session: SessionId, *, is_before: bool) -> None:
        self._reach(session)
        self.writes += is_before
        if self.cut == Cut(self.writes, is_before):
            self.cut_off()
            self._reach(session)


@dataclass
class Ledger:
    """What really happened, in its order: the names of the steps whose body ran."""

    entries: list[str] = field(default_factory=list)

    def note(self, entry: str | None = None) -> None:
        """Write down the entry, or the name of the running step."""
        self.entries.append(entry or current_step().name)

    async def double(self, number: int) -> int:
        """Work as a step does."""
        self.note()
        return 2 * number

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.entries)


class Gate:
    """A step's body that says when it has begun, and ends when it is let go. `was_cut`: it was not."""

    def __init__(self) -> None:
        self.begun, self.let_go, self.was_cut = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.was_cut.set()
            raise
        return "through"


class Lab:
    """An app on such a store, and workers for it."""

    def __init__(self, **settings: Any) -> None:
        self.store = LabStore()
        self.app = App(self.store)
        self.ledger = Ledger()
        quick: dict[str, Any] = {"short_wait": timedelta(0), "max_crashes": MAX_CRASHES, "grace": 5 * SECOND}
        quick["links"] = self.app.links
        self.settings = WorkerSettings(**quick | settings)

    @asynccontextmanager
    async def worker(self, **changes: Any) -> AsyncIterator[Worker]:
        """A worker while the block runs; leaving it drains."""
        worker = Worker(self.store, self.app.registry, replace(self.settings, **changes))
        running = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(SIGNAL_SECONDS):
                await worker.ready.wait()
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(SIGNAL_SECONDS):
                await running

    async def run(self, workflow: Any, input: Any = NOTHING) -> Any:
        """What the workflow returns when a worker runs it."""
        handle = await self.app.start(workflow, input)
        async with self.worker():
            return await self.result(handle)

    async def result(self, handle: Handle[Any]) -> Any:
        return await self.app.result(handle.id, timeout=timedelta(seconds=SIGNAL_SECONDS))

    async def run_to_rest(self, handle: Handle[Any]) -> Execution:
        """The execution after one worker has taken it as far as it goes without time passing."""
        self.store.is_hurried = False
        async with self.worker():
            return await self.at_rest(handle)

    async def at_rest(self, handle: Handle[Any]) -> Execution:
        """The execution as soon as no worker could do anything about it now."""
        return await self.until(
            handle,
            lambda seen: seen.status is Status.WAITING or (seen.due_at is not None and seen.due_at > self.store.now()),
        )

    async def until(self, handle: Handle[Any], is_met: Callable[[Execution], bool]) -> Execution:
        """The execution as soon as it has ended or the condition is met."""
        async with asyncio.timeout(SIGNAL_SECONDS):
            while True:
                self.store.changed.clear()
                seen = await self.see(handle)
                if seen.status.is_final or is_met(seen):
                    return seen
                await self.store.changed.wait()

    async def run_until(self, look: Callable[[], Awaitable[object]], *, is_working: bool = False) -> None:
        """Let a worker work until the look sees something; `is_working`: there is one."""
        async with nullcontext() if is_working else self.worker(), asyncio.timeout(SIGNAL_SECONDS):
            self.store.changed.clear()
            while not await look():
                await self.store.changed.wait()
                self.store.changed.clear()

    async def see(self, handle: Handle[Any]) -> Execution:
        return await self.app.get(handle.id)

    async def steps(self, handle: Handle[Any]) -> dict[str, StepRecord]:
        """What is stored of the execution's durable calls; the outcome, where a call has one."""
        return {record.key: record for record in sorted(await self.app.steps(handle.id), key=lambda r: r.attempt)}

    async def survive(self, handle: Handle[Any]) -> Execution:
        """Let the execution come to its end, on worker after worker, as long as they die of it."""
        for _ in range(20):
            async with self.worker():
                seen = await self.until(handle, lambda _: self.store.is_cut)
            if seen.status.is_final:
                return seen
            self.store.bury()
        raise AssertionError("worker after worker dies")
