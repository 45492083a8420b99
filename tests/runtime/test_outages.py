"""A database that cannot be reached is waited for: it is no failure of a step, nor of a workflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from stepwell import App, ExecutionFailed, Handle, Status, Step
from stepwell.core.model import Checkpoint, Child, ExecutionId, Found, Look, NewEvent, Sent, SessionId
from stepwell.errors import DatabaseUnavailable
from stepwell.store.base import Transaction
from tests.runtime.lab import SIGNAL_SECONDS, Lab, LabStore


class UnreachableStore(LabStore):
    """Cannot be reached for some calls of what a pass asks for beside the group commit."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.asked = asyncio.Semaphore(0)

    def _ask(self) -> None:
        self.asked.release()
        if self.errors:
            raise self.errors.pop(0)

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        self._ask()
        return await super().look(looks)

    async def send(self, event: NewEvent) -> Sent | None:
        self._ask()
        return await super().send(event)

    async def called(self, calls: Sequence[tuple[ExecutionId, str]]) -> Sequence[Child | None]:
        self._ask()
        return await super().called(calls)

    async def items(
        self, execution_id: ExecutionId, key: str, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        self._ask()
        async for item in super().items(execution_id, key, after=after):
            yield item

    @asynccontextmanager
    async def transaction(self, session: SessionId, *, is_async: bool) -> AsyncIterator[Transaction]:
        self._ask()
        async with super().transaction(session, is_async=is_async) as transaction:
            yield transaction


class UnreachableLab(Lab):
    def __init__(self) -> None:
        super().__init__()
        self.store: UnreachableStore = UnreachableStore()
        self.app = App(self.store)


@pytest.fixture
async def lab() -> UnreachableLab:
    return UnreachableLab()


def mapping(lab: UnreachableLab, **options: Any) -> Any:
    """A workflow that asks for the items of a map."""

    @lab.app.workflow(**options)
    async def flow(step: Step) -> list[int]:
        await step.sleep("pause", "1h")
        return await step.map("items", lab.ledger.double, range(3))

    return flow


def transacting(lab: UnreachableLab, **options: Any) -> Any:
    """A workflow that asks for a connection."""

    async def double(connection: Any, numbers: list[int]) -> list[int]:
        return [await lab.ledger.double(number) for number in numbers]

    @lab.app.workflow(**options)
    async def flow(step: Step) -> list[int]:
        return await step.transaction("items", double, [0, 1, 2])

    return flow


def talking(lab: UnreachableLab, **options: Any) -> Any:
    """A workflow that sends events, takes them, and calls another one."""

    @lab.app.workflow
    async def doubled(number: int, step: Step) -> int:
        return await step.run("double", lab.ledger.double, number)

    @lab.app.workflow(**options)
    async def flow(step: Step) -> list[int]:
        for number in range(2):
            await step.send_event("number", number, to=step.execution_id)
        taken = [await step.wait_for_event("number", type=int) for _ in range(2)]
        return [2 * (number or 0) for number in taken] + [await step.call("doubled", doubled, 2)]

    return flow


both = pytest.mark.parametrize("make", [mapping, transacting])
# By which nothing was changed and nothing is wrong with what was asked: a conflict, no room, an operator, a time limit.
REFUSALS = [psycopg.errors.DeadlockDetected, psycopg.errors.DiskFull, psycopg.errors.QueryCanceled]


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("make", [mapping, transacting, talking])
async def test_what_the_database_would_take_later_is_asked_again(lab: UnreachableLab, make: Any, error: Any) -> None:
    """F24: an operator who cancels a statement fails no workflow."""
    lab.store.errors = [error("not now") for _ in range(2)]

    assert await lab.run(make(lab)) == [0, 2, 4]

    assert lab.store.errors == []


@both
async def test_database_that_comes_back_costs_no_attempt_no_pass_and_no_session(lab: UnreachableLab, make: Any) -> None:
    """F24."""
    lab.store.errors = [DatabaseUnavailable("gone") for _ in range(2)]

    handle: Handle[Any] = await lab.app.start(make(lab))
    async with lab.worker():
        assert await lab.result(handle) == [0, 2, 4]
        assert len(lab.store.sessions) == 1

    assert lab.store.errors == []
    assert (await lab.see(handle)).passes == (2 if make is mapping else 1)
    assert [record.attempt for record in (await lab.steps(handle)).values() if record.kind == "transaction"] in (
        [],
        [1],
    )


@both
async def test_wait_for_the_database_ends_with_the_grace(lab: UnreachableLab, make: Any) -> None:
    """F100: a process that stops does not wait until the database is back."""
    lab.store.errors = [DatabaseUnavailable("gone") for _ in range(1_000)]

    handle: Handle[Any] = await lab.app.start(make(lab))
    async with lab.worker(grace=timedelta(milliseconds=10)):
        async with asyncio.timeout(SIGNAL_SECONDS):
            for _ in range(2):
                await lab.store.asked.acquire()
    left = await lab.see(handle)
    lab.store.errors.clear()

    assert left.status is Status.PENDING
    async with lab.worker():
        assert await lab.result(handle) == [0, 2, 4]


async def test_any_other_error_is_not_waited_out(lab: UnreachableLab) -> None:
    lab.store.errors = [ValueError("a fault")]

    with pytest.raises(ExecutionFailed, match="a fault"):
        await lab.run(mapping(lab))
