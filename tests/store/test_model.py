"""Random operations on memory and on PostgreSQL must agree, in every answer and in everything that is stored."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stepwell.core.model import (
    CancelledOutcome,
    Claim,
    ClaimRequest,
    Completed,
    Ending,
    Event,
    ExecutionId,
    Failed,
    FailedAttempt,
    Filter,
    Kind,
    NewCheckpoint,
    NewExecution,
    Outcome,
    SessionId,
    Suspended,
    Waiting,
)
from stepwell.core.status import Status
from stepwell.core.webhooks import DeliveryFilter
from stepwell.errors import LeaseLost
from tests.store.control_rules import ControlRules
from tests.store.declared_rules import DECLARED, DeclaredRules
from tests.store.inbox_rules import InboxRules
from tests.store.world import MINUTE, MemoryWorld, PostgresWorld, World

WORKFLOWS, QUEUES, KEYS = ("order", "invoice"), ("default", "crm"), ("a", "b")
LEASES = (10.5, 60.5)  # minutes; never equal to a sum of the whole minutes by which time passes
TICK = timedelta(microseconds=1)  # memory's time moves between operations too, as all time does

_TIME = re.compile(r"\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


class Side:
    """One of the two stores, with the sessions that were opened on it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sessions: list[SessionId] = []

    def plain(self, value: Any) -> Any:
        """The value in a form that is the same on both sides: times as half minutes from now."""
        return _plain(value, self.world.store.now())

    def number(self, session: UUID) -> int:
        return self.sessions.index(SessionId(session))

    def owner(self, session: UUID | None) -> int | None:
        return None if session is None else self.number(session)


def _plain(value: Any, now: datetime) -> Any:
    match value:
        case datetime():
            return round((value - now) / timedelta(seconds=30))
        case str():
            return _TIME.sub(lambda found: str(_plain(_read(found[0]), now)), str(value))
        case Claim():
            by_id = {claimed.id: claimed for claimed in value.executions}
            return _plain([value.next_due_at, value.reached, by_id], now)
        case Event():
            return [_plain(value.sent_at, now), value.payload]  # its number goes by each store's own clock
        case dict():
            return {key: _plain(one, now) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one, now) for one in value]
        case _ if is_dataclass(value):
            return [_plain(getattr(value, field.name), now) for field in fields(value)]
        case _:
            return value


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)


@st.composite
def new_executions(draw: st.DrawFn) -> list[dict[str, Any]]:
    one = st.fixed_dictionaries(
        {
            "workflow": st.sampled_from(WORKFLOWS),
            "queue": st.sampled_from(QUEUES),
            "key": st.sampled_from((None, None, *KEYS)),
            "tags": st.sampled_from(((), (), ("eu",), ("big", "eu"))),
            "input": st.sampled_from((b"1", b"1", b"2")),
            "delay_seconds": st.sampled_from((0.0, 0.0, 60.0, 1_200.0)),
            "deadline": st.sampled_from((None, None, 10 * MINUTE)),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=4))


_KEYS = st.lists(st.sampled_from(("fetch", "send", "enrich/#1")), max_size=2, unique=True)
OUTCOMES: st.SearchStrategy[Callable[[datetime], Outcome]] = st.sampled_from(
    (
        lambda _: Completed(b"3"),
        lambda _: Failed(b"e", "ValueError: no", ("fetch", "send")),
        lambda _: Failed(b"e", "ChildFailed: no", ("bill",)),
        lambda _: CancelledOutcome("stopped by itself"),
        lambda now: Suspended(now, None),
        lambda now: Suspended(now + 5 * MINUTE, "sleeping"),
        lambda now: Suspended(now + 60 * MINUTE, "retries 'fetch'"),
        lambda _: Waiting(None, "waits", 0),
        lambda now: Waiting(now + 5 * MINUTE, "waits", 1),
    )
)

_SOME_CODE = st.sampled_from((WORKFLOWS, (*WORKFLOWS, "order@1"), (*WORKFLOWS, "order@1", "order@2")))
_SOME_WORKFLOWS = st.sampled_from((WORKFLOWS, WORKFLOWS, WORKFLOWS[:1]))
_SOME_QUEUES = st.sampled_from((QUEUES, QUEUES[::-1], QUEUES[:1]))
_REQUESTS = st.builds(
    ClaimRequest,
    queues=_SOME_QUEUES,
    workflows=_SOME_CODE,
    limit=st.sampled_from((0, 1, 2, 3, 100)),
    versions=st.sampled_from(({}, {}, {"order": 1}, {"order": 2})),
    with_suspect=st.sampled_from((True, True, False)),
)


_SOME_STATUSES = st.sampled_from(((), (), (Status.COMPLETED,), (Status.PENDING, Status.RUNNING), (Status.FAILED,)))
_FILTERS = st.builds(
    Filter,
    statuses=_SOME_STATUSES,
    workflow=st.sampled_from((None, None, *WORKFLOWS)),
    key=st.sampled_from((None, None, None, *KEYS)),
    tags=st.sampled_from(((), (), ("eu",), ("eu", "big"))),
    text=st.sampled_from((None, None, "3", "eu", "valueerror", "stopped by", "2 eu")),
)
_BOUNDS = (
    ("created_after",), ("created_before",), ("finished_after",), ("finished_before",),
    ("created_after", "finished_before"),
)  # fmt: skip


class Agreement(DeclaredRules, InboxRules, ControlRules, RuleBasedStateMachine):
    """Every rule does the same to both stores and compares what they answer."""

    runner: asyncio.Runner
    memory: Side
    postgres: Side
    postgres_world: PostgresWorld
    raw: psycopg.Connection[Any]

    def __init__(self) -> None:
        super().__init__()
        self.memory_world = MemoryWorld()
        self.memory, self.postgres = Side(self.memory_world), Side(self.postgres_world)
        self.ids: list[ExecutionId] = []
        for table in ("worker", "execution", "checkpoint", "attempt", "searchable", "leftover", "audit", *DECLARED):
            self.raw.execute(f"delete from stepwell.{table}".encode())
        self.raw.execute("update stepwell.upkeep set reached_at = '-infinity'")
        self.raw.execute("update stepwell.intake set revision = 0")

    def both(self, operation: Callable[[Side], Awaitable[Any]]) -> None:
        """Do it to both; they must answer alike."""
        found = self.runner.run(_answer(operation, self.postgres))
        expected = self.runner.run(_answer(operation, self.memory))
        assert found == expected
        self.memory_world.advance(TICK)

    def any_session(self, data: st.DataObject) -> int:
        """Any session; mostly one that lives."""
        workers, now = self.memory_world.memory._workers, self.memory_world.store.now()
        alive = [self.memory.number(id) for id, row in workers.items() if row.is_alive(now)]
        return data.draw(st.sampled_from(alive * 9 + list(range(len(self.memory.sessions)))), label="session")

    def any_ids(self, data: st.DataObject, session: int | None = None) -> list[ExecutionId]:
        """Some executions; mostly those that the session owns, then the oldest, so that much happens to few."""
        rows = self.memory_world.memory._executions.values()
        mine = [row.id for row in rows if session is not None and row.owner == self.memory.sessions[session]]
        return data.draw(
            st.lists(st.sampled_from(mine * 9 + self.ids[:4] * 4 + self.ids), max_size=3, unique=True), label="ids"
        )

    # --- sessions -------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.open(LEASES[0], WORKFLOWS, QUEUES)
        self.create([{"workflow": "order", "input": b"1"}] * 3)

    @rule(minutes=st.sampled_from(LEASES), workflows=_SOME_CODE, queues=_SOME_QUEUES)
    def open(self, minutes: float, workflows: tuple[str, ...], queues: tuple[str, ...]) -> None:
        async def operation(side: Side) -> None:
            name, lease_for = f"host:{len(side.sessions)}", minutes * MINUTE
            session = await side.world.worker(name, workflows=workflows, queues=queues, lease_for=lease_for)
            side.sessions.append(session)

        self.both(operation)

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        session = self.any_session(data)
        self.both(lambda side: side.world.store.close_session(side.sessions[session]))

    @rule(data=st.data(), minutes=st.sampled_from(LEASES))
    def beat(self, data: st.DataObject, minutes: float) -> None:
        session = self.any_session(data)

        async def operation(side: Side) -> object:
            return side.world.beat(side.sessions[session], lease_for=minutes * MINUTE)

        self.both(operation)

    @rule(max_crashes=st.integers(1, 5))
    def reap(self, max_crashes: int) -> None:
        async def operation(side: Side) -> object:
            reaped = side.world.reap(max_crashes=max_crashes)
            return reaped.sessions, reaped.freed, sorted(reaped.failed)

        self.both(operation)

    @rule(max_crashes=st.sampled_from((3, 4)))
    def crash(self, max_crashes: int) -> None:
        """All workers have died, and a new one takes over."""
        self.pass_time(61)
        self.reap(max_crashes)
        self.open(LEASES[0], WORKFLOWS, QUEUES)
        self.claim_what_there_is()

    @rule(minutes=st.sampled_from((1, 5, 11, 61)))
    def pass_time(self, minutes: int) -> None:
        for side in (self.memory, self.postgres):
            side.world.advance(minutes * MINUTE)

    # --- executions -----------------------------------------------------------------------------------------------

    @rule(given=new_executions())
    def create(self, given: list[dict[str, Any]]) -> None:
        first = len(self.ids) + 1
        new = [NewExecution(id=ExecutionId(UUID(int=first + n)), **one) for n, one in enumerate(given)]
        self.both(lambda side: side.world.store.create(new))
        self.both(lambda side: side.world.store.create(new))  # the answer was lost: asked again
        self.ids += [one.id for one in new]

    @rule()
    def claim_what_there_is(self) -> None:
        self._claim(len(self.memory.sessions) - 1, ClaimRequest(QUEUES, WORKFLOWS, 100))

    @rule(data=st.data(), request=_REQUESTS, since=st.sampled_from((None, None, 2, 30)))
    def claim(self, data: st.DataObject, request: ClaimRequest, since: int | None) -> None:
        self._claim(self.any_session(data), request, since)

    def _claim(self, session: int, request: ClaimRequest, since: int | None = None) -> None:
        taken: list[ExecutionId] = []

        async def operation(side: Side) -> Claim:
            not_before = None if since is None else side.world.store.now() - (since + 0.5) * MINUTE
            request_here = replace(request, not_before=not_before)
            self._prefer_in_memory(taken)
            claim = await side.world.store.claim(side.sessions[session], request_here)
            taken.extend(claimed.id for claimed in claim.executions)
            return claim

        self.both(operation)

    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        session = self.any_session(data)
        checkpoints = [(id, key) for id in self.any_ids(data, session) for key in data.draw(_KEYS)]
        attempts = [(id, key, n) for id in self.any_ids(data, session) for key in data.draw(_KEYS) for n in (1, 2)]
        endings = [(id, data.draw(OUTCOMES)) for id in self.any_ids(data, session)]
        is_failure = data.draw(st.booleans())

        async def operation(side: Side) -> object:
            now = side.world.store.now()
            return await side.world.flush(
                side.sessions[session],
                checkpoints=[
                    NewCheckpoint(id, key, Kind.ITEM if "#" in key else Kind.STEP, 7, b"1", is_failure)
                    for id, key in checkpoints
                ],
                attempts=[FailedAttempt(id, key, n, now + n * MINUTE, b"e") for id, key, n in attempts],
                endings=[Ending(id, outcome(now)) for id, outcome in endings],
            )

        self.both(operation)

    @rule(data=st.data())
    def commit_in_transaction(self, data: st.DataObject) -> None:
        session = self.any_session(data)
        ids = self.any_ids(data, session)[:1]

        async def operation(side: Side) -> None:
            async with side.world.store.transaction(side.sessions[session], is_async=True) as transaction:
                await transaction.commit(NewCheckpoint(ids[0], "store", Kind.TRANSACTION, 1, b"2"))

        if ids:
            self.both(operation)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ids = self.any_ids(data)

        async def operation(side: Side) -> object:
            return [await side.world.store.cancel(id, reason="no longer needed", by="ann") for id in ids[:1]]

        self.both(operation)

    @rule(data=st.data(), number=st.integers(1, 2), is_failed=st.booleans())
    def intend(self, data: st.DataObject, number: int, is_failed: bool) -> None:
        """An effect is begun; perhaps it fails."""
        session = self.any_session(data)
        keys = [f"charge/#intent{number}", *([f"charge/#failed{number}"] if is_failed else [])]
        rows = [
            NewCheckpoint(id, key, Kind.INTENT, 3, b"null") for id in self.any_ids(data, session)[:1] for key in keys
        ]
        self.both(lambda side: side.world.flush(side.sessions[session], checkpoints=rows))

    @rule(data=st.data(), value=st.sampled_from((b"5", None)))
    def resolve(self, data: st.DataObject, value: bytes | None) -> None:
        intended = [
            row.id
            for row in self.memory_world.memory._executions.values()
            if row.owner is None and any("#intent" in key for key in row.checkpoints)
        ]
        id = data.draw(st.sampled_from(intended * 9 + self.ids), label="id")
        self.both(lambda side: side.world.store.resolve(id, "charge", value=value, by="ann"))

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        ids = self.any_ids(data)

        async def operation(side: Side) -> object:
            return [await side.world.store.reopen(id, by="bob") for id in ids]

        self.both(operation)

    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        ids = self.any_ids(data)

        async def operation(side: Side) -> object:
            return {one.id: one for one in await side.world.store.watch(ids)}

        self.both(operation)

    def known(self) -> dict[ExecutionId, Any]:
        return self.memory_world.memory._executions

    @rule(
        data=st.data(), which=_FILTERS, limit=st.sampled_from((1, 3, 1_000)), minutes=st.sampled_from((None, 0, 3, 30))
    )
    def look_up(self, data: st.DataObject, which: Filter, limit: int, minutes: int | None) -> None:
        """Any filter, from any place, with times between the minutes by which time passes."""
        ids, bounds = self.any_ids(data)[:1], data.draw(st.sampled_from(_BOUNDS), label="bounds")
        parent = data.draw(st.booleans(), label="parent")

        async def operation(side: Side) -> object:
            at = side.world.store.now() - ((minutes or 0) + 0.5) * MINUTE
            times: dict[str, Any] = dict.fromkeys(bounds, at) if minutes is not None else {}
            here = replace(which, **times)
            here = replace(here, parent=ids[0]) if ids and parent else here
            count = await side.world.store.count(here)
            place = replace(here, before=ids[0]) if ids and not parent else here
            return count, await side.world.store.list(place, limit=limit)

        self.both(operation)

    @rule()
    def make_searchable(self) -> None:
        self.both(lambda side: side.world.store.make_searchable())

    @rule(minutes=st.sampled_from((1, 20, 60)), workflows=st.sampled_from((WORKFLOWS, WORKFLOWS[:1])))
    def remove(self, minutes: float, workflows: tuple[str, ...]) -> None:
        """Retention, to its end."""

        async def operation(side: Side) -> None:
            kept = (minutes + 0.25) * MINUTE
            while any([await side.world.store.remove(dict.fromkeys(workflows, kept)), await side.world.store.sweep()]):
                continue

        self.both(operation)

    # --- what must be the same --------------------------------------------------------------------------------------

    @invariant()
    def everything_is_shown_alike(self) -> None:
        self.both(lambda side: side.world.store.list(Filter(), limit=1_000))
        self.both(lambda side: side.world.store.count())
        self.both(lambda side: side.world.store.catalog.schedules())
        self.both(lambda side: side.world.store.triggers.triggers())
        self.both(lambda side: side.world.store.inbox.hooks())
        self.both(lambda side: side.world.store.inbox.deliveries(DeliveryFilter(), before=None, limit=1_000))
        self.both(lambda side: side.world.store.events(name=None, address=None, limit=1_000))
        self.both(lambda side: side.world.store.waits(execution_id=None, name=None, address=None, limit=1_000))

    @invariant()
    def everything_is_stored_alike(self) -> None:
        expected, found = self.memory.plain(self._in_memory()), self.postgres.plain(self._in_postgres())
        assert found == expected

    def _in_memory(self) -> list[Any]:
        memory = self.memory_world.memory
        rows = sorted(memory._executions.values(), key=lambda row: row.id)
        return [
            sorted((self.memory.number(id), row.expires_at) for id, row in memory._workers.items()),
            [
                (row.id, self.memory.owner(row.owner), row.is_awaited, row.cancel_requested_at, row.failed_steps)
                for row in rows
            ],
            [
                (row.id, key, one.checkpoint, one.recorded_at)
                for row in rows
                for key, one in sorted(row.checkpoints.items())
            ],
            [
                (row.id, key, n, one.failed_at, one.retry_at, one.error)
                for row in rows
                for key, tries in sorted(row.attempts.items())
                for n, one in sorted(tries.items())
            ],
        ]

    def _in_postgres(self) -> list[Any]:
        workers = self.raw.execute("select id, expires_at from stepwell.worker").fetchall()
        rows = self.raw.execute(
            "select id, owner, is_awaited, cancel_requested_at, coalesce(failed_steps, '{}')"
            " from stepwell.execution order by id"
        ).fetchall()
        checkpoints = self.raw.execute(
            "select execution_id, key, kind, digest, is_failure, value, recorded_at"
            " from stepwell.checkpoint order by execution_id, key"
        ).fetchall()
        attempts = self.raw.execute(
            "select execution_id, key, attempt, failed_at, retry_at, error"
            " from stepwell.attempt order by execution_id, key, attempt"
        ).fetchall()
        return [
            sorted((self.postgres.number(id), expires_at) for id, expires_at in workers),
            [(id, self.postgres.owner(owner), *rest) for id, owner, *rest in rows],
            [(id, key, checkpoint, at) for id, key, *checkpoint, at in checkpoints],
            attempts,
        ]

    def _prefer_in_memory(self, ids: list[ExecutionId]) -> None:
        """Of executions due at the same instant either may be taken: memory is to take those that PostgreSQL took."""
        rows = self.memory_world.memory._executions
        for id in sorted(rows, key=lambda id: id not in ids):
            rows[id] = rows.pop(id)


async def _answer(operation: Callable[[Side], Awaitable[Any]], side: Side) -> Any:
    """What the operation answers, or how it is refused."""
    try:
        return side.plain(await operation(side))
    except (LeaseLost, psycopg.errors.UniqueViolation) as refusal:
        return type(refusal)


def compare(machine: type[Agreement], url: str, *, examples: int, steps: int) -> None:
    """Run random rules of the machine on both stores."""
    with asyncio.Runner() as runner, psycopg.connect(url, autocommit=True) as raw:
        world = PostgresWorld(url)
        runner.run(world.store.open())
        here = {"runner": runner, "postgres_world": world, "raw": raw}
        bounds = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(type("AgreementHere", (machine,), here), settings=bounds)
        runner.run(world.store.close())


@pytest.mark.timeout(400)  # ten seconds; minutes only to find the shortest way to a disagreement
def test_memory_and_postgres_agree(database_url: str) -> None:
    compare(Agreement, database_url, examples=40, steps=50)


@pytest.mark.soak
def test_memory_and_postgres_agree_for_long(database_url: str) -> None:
    compare(Agreement, database_url, examples=800, steps=60)
