"""What is known after a fault test: what was promised, what the step bodies wrote down, what the database saw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from stepwell.core.payload import unpack
from tests.faults.ledger import Line

Row = TypeVar("Row")


class Promise(NamedTuple):
    """An accepted start, and what a run without faults would make of it; its children by the calls that start them.

    One that is cancelled `at_will`, somewhere on its way, if at all, has done any part of that by then.
    """

    result: Any
    steps: Set[str]
    status: str = "completed"
    children: Mapping[str, Promise] = MappingProxyType({})
    at_will: bool = False

    def cancelled(self) -> Promise:
        """The same, when somebody cancels it on its way, and with it the children that it has by then."""
        return self._at_will()._replace(status="cancelled")

    def _at_will(self) -> Promise:
        return self._replace(children={key: one._at_will() for key, one in self.children.items()}, at_will=True)


@dataclass(frozen=True)
class Execution:
    id: UUID
    status: str
    result: bytes | None
    reason: str | None
    parent_id: UUID | None
    parent_key: str | None


@dataclass(frozen=True)
class Session:
    """One life of a worker, by the database's clock. `expires_at` is what it was when the session ended."""

    id: UUID
    pid: int
    process: str
    opened_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None
    was_reaped: bool | None

    def is_alive(self, at: datetime) -> bool:
        return self.opened_at <= at and (self.ended_at is None or at < self.ended_at)


@dataclass(frozen=True)
class Move:
    """A change of an execution. `flushed_by` is the process that stored an outcome, if that is what it was."""

    execution_id: UUID
    at: datetime
    status: str
    owner: UUID | None
    passes: int
    crashes: int
    due_at: datetime | None
    flushed_by: str | None


@dataclass(frozen=True)
class Stored:
    """A result that was stored while `owner` owned the execution. `token` is that of the run it came from."""

    execution_id: UUID
    key: str
    at: datetime
    owner: UUID | None
    value: bytes

    @property
    def token(self) -> str | None:
        value = json.loads(unpack(self.value))
        return value.get("token") if isinstance(value, dict) else None


@dataclass(frozen=True)
class FailedAttempt:
    execution_id: UUID
    key: str
    attempt: int


@dataclass(frozen=True)
class Booking:
    execution_id: UUID
    token: str


@dataclass(frozen=True)
class Run:
    """One run of a step's body. `ending` is None when it was cut."""

    execution_id: UUID
    key: str
    attempt: int
    idempotency_key: str
    token: str
    given: str
    began_at: datetime
    session: Session | None
    ending: str | None


@dataclass(frozen=True)
class Evidence:
    """Everything, at rest."""

    promises: Mapping[UUID, Promise]
    executions: Mapping[UUID, Execution]
    sessions: Mapping[UUID, Session]
    moves: Sequence[Move]
    stored: Sequence[Stored]
    attempts: Sequence[FailedAttempt]
    bookings: Sequence[Booking]
    runs: Sequence[Run]
    stuck: Sequence[str]

    def children(self, identity: UUID) -> list[Execution]:
        """What an execution has started."""
        return self._children.get(identity, [])

    @cached_property
    def _children(self) -> dict[UUID | None, list[Execution]]:
        found: dict[UUID | None, list[Execution]] = {}
        for execution in self.executions.values():
            found.setdefault(execution.parent_id, []).append(execution)
        return found

    @cached_property
    def expected(self) -> Mapping[UUID, Promise]:
        """What must come of every execution: of those that were started, and of their children."""
        found = dict(self.promises)
        left = list(found.items())
        while left:
            identity, promise = left.pop()
            own = {child.id: promise.children.get(child.parent_key or "") for child in self.children(identity)}
            known = {child: its for child, its in own.items() if its is not None}
            found |= known
            left += known.items()
        return found

    def winners(self) -> dict[tuple[UUID, str], Stored]:
        """The stored result of each step of each execution."""
        return {(row.execution_id, row.key): row for row in self.stored}

    def stale_runs(self) -> list[Run]:
        """Runs that began after their worker's session had ended, before it could know: allowed, and listed."""
        return [run for run in self.runs if run.session is not None and not run.session.is_alive(run.began_at)]


async def gather(
    connection: psycopg.AsyncConnection[Any], promises: Mapping[UUID, Promise], lines: Sequence[Line]
) -> Evidence:
    """Read it all."""

    async def read(kind: type[Row], table: str, order: str = "1") -> list[Row]:
        columns = ", ".join(kind.__annotations__)
        async with connection.cursor(row_factory=class_row(kind)) as cursor:
            await cursor.execute(f"select {columns} from {table} order by {order}".encode())
            return await cursor.fetchall()

    sessions = await read(Session, "audit.session", "opened_at")
    return Evidence(
        promises=promises,
        executions={row.id: row for row in await read(Execution, "stepwell.execution")},
        sessions={row.id: row for row in sessions},
        moves=await read(Move, "audit.move", "number"),
        stored=await read(Stored, "audit.stored", "at"),
        attempts=await read(FailedAttempt, "stepwell.attempt"),
        bookings=await read(Booking, "booking"),
        runs=_runs(lines, sessions),
        stuck=[text async for (text,) in await connection.execute(STUCK.encode())],
    )


STUCK = """
select 'execution ' || e.id || ' runs without a live lease'
from stepwell.execution e
where e.status = 'running' and not exists (select from stepwell.worker w where w.id = e.owner and w.expires_at > now())
union all
select 'execution ' || e.id || ' has been due since ' || e.due_at
from stepwell.execution e where e.due_at < now() - interval '2 s'
union all
select 'connection ' || a.pid || ' is ' || a.state || ' since ' || a.state_change || ': ' || a.query
from pg_stat_activity a
where a.datname = current_database() and a.state like 'idle in transaction%' and a.pid <> pg_backend_pid()
  and a.state_change < now() - interval '2 s'  -- a process that is just starting looks at migrations in one
"""


def _runs(lines: Sequence[Line], sessions: Sequence[Session]) -> list[Run]:
    endings = {line.token: line.what for line in lines if line.what in ("end", "raise")}
    lives: dict[int, list[Session]] = {}
    for session in sessions:
        lives.setdefault(session.pid, []).append(session)
    runs = []
    for line in lines:
        if line.what == "begin":
            at = datetime.fromtimestamp(line.at, UTC)
            opened = [session for session in lives.get(line.pid, ()) if session.opened_at <= at]
            last, ending = opened[-1] if opened else None, endings.get(line.token)
            identity = UUID(line.execution)
            runs.append(Run(identity, line.step, line.attempt, line.key, line.token, line.given, at, last, ending))
    return runs
