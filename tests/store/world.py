"""One vocabulary for the store's tests, over memory and over PostgreSQL."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
from psycopg import sql

from stepwell.core.events import address
from stepwell.core.model import (
    Batch,
    CancelledOutcome,
    Claim,
    Claimed,
    ClaimRequest,
    Completed,
    Elsewhere,
    Ending,
    Event,
    Execution,
    ExecutionId,
    Failed,
    FailedAttempt,
    Flushed,
    Kind,
    Look,
    NewCheckpoint,
    NewChild,
    NewEvent,
    NewExecution,
    Outcome,
    Reaped,
    Sent,
    SessionId,
    Suspended,
    Waiting,
    WorkerInfo,
)
from stepwell.core.status import Status
from stepwell.store.base import Backend
from stepwell.store.identity import new_id
from stepwell.store.memory import MemoryStore
from stepwell.store.postgres import PostgresStore

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEASE = timedelta(minutes=10)
MAX_CRASHES = 4
SIGNAL_SECONDS = 30.0  # how long a test waits for what must come

DONE = Completed(b'"done"')
FAILED = Failed(b'{"type":"ValueError"}', "ValueError: no", ("fetch",))
STOPPED = CancelledOutcome("stopped by itself")

_TIMES = {
    "worker": ("started_at", "expires_at"),
    "execution": (
        "created_at",
        "due_at",
        "claimed_at",
        "started_at",
        "finished_at",
        "cancel_requested_at",
        "deadline_at",
        "paused_at",
    ),
    "checkpoint": ("recorded_at",),
    "attempt": ("failed_at", "retry_at"),
    "dispatch": ("ready_at",),
    "audit": ("done_at",),
    "event": ("sent_at",),
    "wait": ("until_at",),
    "schedule": ("decided_at", "next_at", "last_at", "paused_at"),
    "delivery": ("received_at",),
    "callback": ("created_at", "expires_at", "answered_at"),
    "searchable": ("created_at", "finished_at"),
    "upkeep": ("reached_at",),
    "authorisation": ("expires_at",),
    "connection": ("expires_at", "refreshed_at", "renewing_at", "checked_at"),
    "budget": ("full_at", "opens_at"),
    "place": ("turn_at",),
    "token": ("created_at", "last_used_at", "expires_at", "revoked_at"),
}

_NUMBERS = (  # microseconds
    ("event", "number"),
    ("dispatch", "number"),
    ("topic", "last"),
    ("topic", "previous"),
    ("topic", "waits"),
    ("wait", "after"),
)


class World(ABC):
    """A store, a way to let its time pass, and short words for what workers and callers do."""

    store: Backend

    @abstractmethod
    def advance(self, by: timedelta) -> None:
        """Let the store's time pass."""

    async def worker(
        self,
        name: str = "host:1",
        *,
        workflows: Sequence[str] = ("order",),
        queues: Sequence[str] = ("default",),
        lease_for: timedelta = LEASE,
    ) -> SessionId:
        return await self.store.open_session(WorkerInfo(name, tuple(workflows), tuple(queues)), lease_for=lease_for)

    async def start(self, **fields: object) -> ExecutionId:
        """Accept one execution."""
        new = execution(**fields)
        assert (await self.store.create([new]))[0].is_new
        return new.id

    async def claim(
        self,
        session: SessionId,
        *,
        limit: int = 100,
        queues: Sequence[str] = ("default",),
        workflows: Sequence[str] = ("order",),
        with_suspect: bool = True,
    ) -> Claim:
        request = ClaimRequest(tuple(queues), tuple(workflows), limit, with_suspect=with_suspect)
        return await self.store.claim(session, request)

    async def claimed_ids(self, session: SessionId, *, limit: int = 100) -> list[ExecutionId]:
        return [row.id for row in (await self.claim(session, limit=limit)).executions]

    async def claim_one(self, session: SessionId) -> Claimed:
        """Claim when exactly one execution is to be had."""
        (only,) = (await self.claim(session)).executions
        return only

    async def running(self, session: SessionId, **fields: object) -> ExecutionId:
        """An execution that this session runs."""
        started = await self.start(**fields)
        assert started in await self.claimed_ids(session)
        return started

    async def flush(
        self,
        session: SessionId,
        *,
        checkpoints: Sequence[NewCheckpoint] = (),
        attempts: Sequence[FailedAttempt] = (),
        endings: Sequence[Ending] = (),
        children: Sequence[NewChild] = (),
    ) -> Flushed:
        return await self.store.flush(session, Batch(checkpoints, attempts, endings, children))

    async def end(self, session: SessionId, execution_id: ExecutionId, outcome: Outcome = DONE) -> None:
        flushed = await self.flush(session, endings=[Ending(execution_id, outcome)])
        assert not flushed.refused

    async def suspend(self, session: SessionId, execution_id: ExecutionId, for_: timedelta = HOUR) -> None:
        await self.end(session, execution_id, Suspended(self.store.now() + for_, "sleeping"))

    async def park(self, session: SessionId, execution_id: ExecutionId, *, signals: int = 0) -> None:
        """It waits, without a time-out; `signals` is what its claim said."""
        await self.end(session, execution_id, Waiting(None, "waits", signals))

    async def send(
        self, payload: bytes = b"1", *, name: str = "paid", to: str = address(key="k"), id: str | None = None
    ) -> Sent | None:
        return await self.store.send(NewEvent(name, to, payload, id))

    async def look(
        self,
        execution_id: ExecutionId,
        key: str = "wait",
        *,
        name: str = "paid",
        to: str = address(key="k"),
        position: int = 0,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Event | None:
        """By default since the execution was created."""
        earliest = since or (await self.see(execution_id)).created_at
        (found,) = await self.store.look([Look(execution_id, key, name, to, position, earliest, until)])
        assert not isinstance(found, Elsewhere)
        return found

    async def waiting(self, session: SessionId, **look: object) -> ExecutionId:
        """An execution that is parked and waits for an event."""
        started = await self.running(session)
        assert await self.look(started, **look) is None  # type: ignore[arg-type]
        await self.park(session, started)
        return started

    async def child(
        self, session: SessionId, parent: ExecutionId, key: str = "bill", *, is_called: bool = True
    ) -> ExecutionId:
        """A child that the parent starts, which this session runs."""
        new = child(parent, key, is_called=is_called)
        assert not (await self.flush(session, children=[new])).refused
        return new.id

    async def family(self, session: SessionId) -> tuple[ExecutionId, ExecutionId]:
        """A parent and the child that it has called, both running."""
        parent = await self.running(session)
        called = await self.child(session, parent)
        assert await self.claimed_ids(session) == [called]
        return parent, called

    async def pause(self, execution_id: ExecutionId, by: str = "ann") -> tuple[Status, bool] | None:
        return await self.store.pause(execution_id, by=by, reason="wrong prices")

    async def resume(self, execution_id: ExecutionId, by: str = "bob") -> tuple[Status, bool] | None:
        return await self.store.resume(execution_id, by=by, reason=None)

    async def audited(self, execution_id: ExecutionId | None = None) -> list[tuple[str, str]]:
        """Who did what, in the order in which it was done."""
        records = await self.store.audits(execution_id, before=None, limit=1_000)
        return [(record.actor, record.action) for record in reversed(records)]

    async def ended(self, outcome: Outcome = DONE, **fields: object) -> ExecutionId:
        """An execution that has ended on a worker that has gone since."""
        session = await self.worker("gone:1")
        execution_id = await self.running(session, **fields)
        await self.end(session, execution_id, outcome)
        await self.store.close_session(session)
        return execution_id

    async def see(self, execution_id: ExecutionId) -> Execution:
        found = await self.store.get(execution_id)
        assert found is not None
        return found

    async def keys(self, execution_id: ExecutionId) -> list[str]:
        """The keys of everything that is stored of its steps."""
        return [record.key for record in await self.store.steps(execution_id, after=None, limit=1_000)]

    def beat(self, session: SessionId, *, lease_for: timedelta = LEASE) -> frozenset[ExecutionId] | None:
        pulse = self.store.pulse(session, lease_for=lease_for, max_crashes=MAX_CRASHES)
        try:
            return pulse.beat()
        finally:
            pulse.close()

    def reap(self, *, max_crashes: int = MAX_CRASHES) -> Reaped:
        pulse = self.store.pulse(SessionId(new_id()), lease_for=LEASE, max_crashes=max_crashes)
        try:
            return pulse.reap()
        finally:
            pulse.close()

    def crash(self) -> Reaped:
        """Every worker dies; their leases end, and somebody notices."""
        self.advance(LEASE + MINUTE)
        return self.reap()


class MemoryWorld(World):
    """On the memory store and its clock."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.store = self.memory

    def advance(self, by: timedelta) -> None:
        self.memory.clock.advance(by)


class PostgresWorld(World):
    """On PostgreSQL, whose clock cannot be set: everything that is stored moves into the past instead."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = PostgresStore(url)

    def advance(self, by: timedelta) -> None:
        with psycopg.connect(self.url) as connection:
            for table, columns in _TIMES.items():
                shifts = sql.SQL(", ").join(
                    sql.SQL("{0} = {0} - %(by)s").format(sql.Identifier(name)) for name in columns
                )
                statement = sql.SQL("update {} set {}").format(sql.Identifier("stepwell", table), shifts)
                connection.execute(statement, {"by": by})
            for table, column in _NUMBERS:
                place = [sql.Identifier("stepwell", table), sql.Identifier(column), sql.Identifier(column)]
                move = sql.SQL("update {} set {} = {} - %s where {} > 0").format(*place, sql.Identifier(column))
                connection.execute(move, [by // timedelta(microseconds=1)])


class Hints:
    """The hints a store sends, in their order."""

    def __init__(self, store: Backend) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self.unsubscribe = store.subscribe(self._hear)

    def _hear(self, hint: str) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, hint)

    async def next(self) -> str:
        async with asyncio.timeout(SIGNAL_SECONDS):
            return await self._heard.get()

    def is_empty(self) -> bool:
        return self._heard.empty()


def execution(**fields: object) -> NewExecution:
    """An execution to be accepted, of the workflow "order" unless said otherwise."""
    return NewExecution(**{"id": ExecutionId(new_id()), "workflow": "order", "input": b"{}", **fields})  # type: ignore[arg-type]


def executions(count: int, **fields: object) -> list[NewExecution]:
    """Some of them, in the order of their ids."""
    return [execution(id=id, **fields) for id in sorted(new_id() for _ in range(count))]


def checkpoint(
    execution_id: ExecutionId,
    key: str = "fetch",
    value: bytes = b'"stored"',
    *,
    kind: Kind = Kind.STEP,
    digest: int = 7,
    is_failure: bool = False,
) -> NewCheckpoint:
    return NewCheckpoint(execution_id, key, kind, digest, value, is_failure)


def child(parent: ExecutionId, key: str = "bill", *, is_called: bool = True) -> NewChild:
    """A child that is to be started."""
    return NewChild(ExecutionId(new_id()), "order", "default", b'"child"', parent, key, is_called)


def unknown() -> ExecutionId:
    """An id that nobody has."""
    return ExecutionId(uuid4())
