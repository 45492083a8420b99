"""The memory store of a lab: it says when something has changed, and can be the last that a dying worker reached."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType

from stepwell.core.events import execution_of
from stepwell.core.model import (
    Batch,
    Claim,
    ClaimRequest,
    Completed,
    Created,
    Ending,
    Execution,
    ExecutionId,
    Flushed,
    Found,
    Look,
    NewCheckpoint,
    NewEvent,
    NewExecution,
    Sent,
    SessionId,
    WorkerInfo,
)
from stepwell.core.payload import unpack
from stepwell.store.base import Transaction
from stepwell.store.clock import VirtualClock
from stepwell.store.foreign import MemoryConnection
from stepwell.store.memory import MemoryStore
from stepwell.testing import effects
from stepwell.testing.crashes import Journal, Process, running_process

FOREVER = timedelta(days=365_000)  # a lease that no jump of the clock ends: workers die in tests by `crash` only


class LabStore(MemoryStore):
    """A memory store for one lab. `first_id` is given to the first execution that is started."""

    def __init__(self, *, now: datetime, journal: Journal, first_id: ExecutionId | None = None) -> None:
        super().__init__(clock=VirtualClock(now))
        self._journal, self._first_id = journal, first_id
        self.opened: Callable[[], Awaitable[None]] | None = None
        self.changed: Callable[[], None] = lambda: None
        self._lock = _Section(self._lock, self)
        self.thread = threading.get_ident()
        self._processes: dict[SessionId, Process] = {}
        self.sent: Counter[str] = Counter()  # events, by workers
        self.listening: Collection[str] = ()  # the triggers that the worker decides for
        self._asked: ClaimRequest | None = None  # what the worker takes

    async def open(self) -> None:
        self.thread = threading.get_ident()
        if self.opened is not None:
            await self.opened()

    # --- time -----------------------------------------------------------------------------------------------------

    async def is_quiet(self) -> bool:
        """Whether nothing runs and nothing is due: only time, or somebody from outside, can change anything."""
        if self._asked is None or any(row.owner is not None for row in self._executions.values()):
            return False
        now, event_at = self.clock.now(), self._triggers.next_at(self.listening)
        if self._due(self._asked, now) or (event_at is not None and event_at <= now):
            return False
        return not (await self.catalog.due_schedules(self._asked.workflows)).due

    async def next_due_at(self) -> datetime | None:
        """When the next execution, the next tick of a schedule or an event that was put off falls due."""
        assert self._asked is not None, "it is asked when all is quiet"
        next_tick_at = (await self.catalog.due_schedules(self._asked.workflows)).next_at
        next_due_at = self._next_due_at(self._asked, self.clock.now())
        return min(filter(None, [next_tick_at, next_due_at, self._triggers.next_at(self.listening)]), default=None)

    def pass_time(self, until: datetime) -> None:
        """It is that time now; the worker looks what is due."""
        self.clock.set(until)
        self._hint("work")

    def shown(self) -> Sequence[Execution]:
        """Every execution as it is now, in the order in which they were accepted."""
        return [row.shown(self._why(row)) for row in self._executions.values()]

    def unfinished(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        """Those of the executions that have not ended."""
        return [row.shown(self._why(row)) for row in self._known(ids) if not row.status.is_final]

    async def remove(self, keep: Mapping[str, timedelta]) -> bool:  # noqa: ARG002
        """Nothing: workers ask by real time, and a test that is slow by chance must not lose what is months old."""
        return False

    async def remove_events(self, keep: timedelta) -> bool:  # noqa: ARG002
        """As remove."""
        return False

    async def remove_deliveries(self, keep: timedelta) -> bool:  # noqa: ARG002
        """As remove."""
        return False

    # --- processes ------------------------------------------------------------------------------------------------

    def bury(self, *, max_crashes: int) -> None:
        """What dead processes owned is taken over, without waiting for their leases."""
        for session, process in self._processes.items():
            if process.is_dead and session in self._workers:
                self._workers[session].expires_at = self.clock.now() - FOREVER
        self.reap(max_crashes=max_crashes)

    def wake(self) -> None:
        """Make the worker look, and notice that it is dead."""
        self._hint("work")

    async def open_session(self, worker: WorkerInfo, *, lease_for: timedelta) -> SessionId:  # noqa: ARG002
        session = await super().open_session(worker, lease_for=FOREVER)
        if (process := running_process.get()) is not None:
            self._processes[session] = process
        return session

    async def close_session(self, session: SessionId) -> None:
        if session in self._processes and self._processes[session].is_dead:
            self._processes[session].on_noticed()
        self._reach(session)
        await super().close_session(session)

    def beat(self, session: SessionId, *, lease_for: timedelta) -> frozenset[ExecutionId] | None:  # noqa: ARG002
        self._reach(session)
        return super().beat(session, lease_for=FOREVER)

    def _reach(self, session: SessionId) -> None:
        if session in self._processes:
            self._processes[session].reach()

    # --- writes of the journal ------------------------------------------------------------------------------------

    async def create(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        if self._first_id is not None and not self._executions:
            new = [new[0]._replace(id=self._first_id), *new[1:]]
        with self._journal.write(running_process.get(), lambda: f"the start of '{new[0].workflow}'"):
            return await super().create(new)

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        self._asked = request
        self._reach(session)
        if not self._due(request, self.clock.now()):
            return await super().claim(session, request)  # writes nothing
        with self._journal.write(self._processes.get(session), lambda: "the claim that begins a pass"):
            return await super().claim(session, request)

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        with self._journal.write(self._processes.get(session), lambda: _described(batch)):
            return await super().flush(session, batch)

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        with self._journal.write(self._process_of(looks[0].execution_id), lambda: f"the wait '{looks[0].key}'"):
            return await super().look(looks)

    def _process_of(self, execution_id: ExecutionId) -> Process | None:
        owner = self._executions[execution_id].owner
        return self._processes.get(owner) if owner is not None else None

    async def send(self, event: NewEvent) -> Sent | None:
        with self._journal.write(running_process.get(), lambda: f"the event '{event.name}'"):
            return self.deliver(event)

    def deliver(self, event: NewEvent) -> Sent | None:
        sent = super().deliver(event)
        self._hint("event")  # however busy the worker is: it would look by itself in a while, but no time passes
        if running_process.get() is not None and sent is not None and sent.is_new:
            self.sent[_sent(event)] += 1
        return sent

    @asynccontextmanager
    async def transaction(self, session: SessionId, *, is_async: bool) -> AsyncIterator[Transaction]:
        with effects.until_committed():
            async with super().transaction(session, is_async=is_async) as transaction:
                transaction.connection = MemoryConnection(
                    create=self._create_when_committed, send=self._send_when_committed
                )
                yield transaction

    def _create_when_committed(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        effects.when_committed(lambda: self._create_now(new))
        return [self._answer(one) for one in new]

    def _create_now(self, new: Sequence[NewExecution]) -> None:
        for one in new:
            self._accept(one)
        self._hint_work()

    def _send_when_committed(self, event: NewEvent) -> bool:
        receiver = execution_of(event.address)
        if receiver is not None and ExecutionId(receiver) not in self._executions:
            return False
        effects.when_committed(lambda: self.deliver(event) and None)
        return True

    def record(self, session: SessionId, checkpoint: NewCheckpoint) -> None:
        with self._journal.write(self._processes.get(session), lambda: f"the commit of '{checkpoint.key}'"):
            super().record(session, checkpoint)
            effects.commit()


class _Section:
    """The lock around each operation: when one ends on the lab's own thread, something may have changed."""

    def __init__(self, lock: AbstractContextManager[object], store: LabStore) -> None:
        self._lock, self._store = lock, store

    def __enter__(self) -> object:
        return self._lock.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.__exit__(kind, error, at)
        if threading.get_ident() == self._store.thread:
            self._store.changed()


def _sent(event: NewEvent) -> str:
    receiver = f" with key '{event.address[2:]}'" if event.address.startswith("k:") else ""
    return f"event '{event.name}'{receiver}: {unpack(event.payload).decode():.200}"


def _described(batch: Batch) -> str:
    parts = [f"the outcome of '{checkpoint.key}'" for checkpoint in batch.checkpoints]
    parts += [f"the start of child '{child.key}'" for child in batch.children]
    parts += [f"failed attempt {attempt.attempt} of '{attempt.key}'" for attempt in batch.attempts]
    parts += [_ended(ending) for ending in batch.endings]
    return ", ".join(parts[:5]) + (f" and {len(parts) - 5} more" if len(parts) > 5 else "")


def _ended(ending: Ending) -> str:
    return "the workflow's result" if isinstance(ending.outcome, Completed) else "the end of a pass"
