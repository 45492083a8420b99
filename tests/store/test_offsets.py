"""The same races without a forced order: each side begins at a random offset from the other, a thousand times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from random import Random
from typing import Any

import pytest

from stepwell.core.events import address
from stepwell.core.model import Batch, Ending, ExecutionId, Look, NewEvent, Outcome, Sent, SessionId, Waiting
from stepwell.core.status import Status
from stepwell.store.postgres import PostgresStore
from tests.store.world import DONE, HOUR, PostgresWorld, child, executions

TIMES, AT_ONCE = 1_000, 20
MOST_TURNS = 40  # of the event loop by which a side begins later: some milliseconds, as long as both take


@pytest.fixture
async def elsewhere(postgres: PostgresWorld) -> AsyncIterator[PostgresStore]:
    """The store of another process."""
    store = PostgresStore(postgres.url)
    await store.open()
    yield store
    await store.close()


async def _after(turns: int, work: Awaitable[Any]) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await work


async def _at_random_offsets(chance: Random, *sides: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*(_after(chance.randrange(MOST_TURNS), side) for side in sides))


async def _running(postgres: PostgresWorld, session: SessionId) -> list[ExecutionId]:
    new = executions(TIMES)
    await postgres.store.create(new)
    while len(await postgres.claimed_ids(session, limit=500)) == 500:
        pass
    return [one.id for one in new]


def _rounds(ids: list[ExecutionId]) -> list[list[ExecutionId]]:
    return [ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE)]


async def _end(store: Any, session: SessionId, execution_id: ExecutionId, outcome: Outcome) -> None:
    flushed = await store.flush(session, Batch(endings=[Ending(execution_id, outcome)]))
    assert not flushed.refused


async def test_event_at_any_moment_around_look_and_park_lets_the_execution_go_on(
    postgres: PostgresWorld, elsewhere: PostgresStore
) -> None:
    """F40, F49. Whoever was told that somebody waits has told the truth."""
    session, chance = await postgres.worker(lease_for=24 * HOUR), Random(40)
    since = postgres.store.now() - HOUR
    found = 0

    async def wait(id: ExecutionId) -> bool:
        (event,) = await postgres.store.look([Look(id, "wait", "paid", address(execution_id=id), 0, since)])
        if event is None:
            await _end(postgres.store, session, id, Waiting(None, "waits", 0))
        return event is not None

    async def race(id: ExecutionId) -> None:
        nonlocal found
        event = NewEvent("paid", address(execution_id=id), b"1")
        has_found, sent = await _at_random_offsets(chance, wait(id), elsewhere.send(event))
        assert sent == Sent(is_new=True, waiting=0 if has_found else 1)
        assert (await postgres.see(id)).status is (Status.RUNNING if has_found else Status.PENDING)
        found += has_found

    for ids in _rounds(await _running(postgres, session)):
        await asyncio.gather(*(race(id) for id in ids))

    assert TIMES / 50 < found < TIMES * 49 / 50  # both orders were met


async def test_end_of_a_child_at_any_moment_around_its_parents_park_wakes_it(
    postgres: PostgresWorld, elsewhere: PostgresStore
) -> None:
    """F50."""
    session, chance = await postgres.worker(lease_for=24 * HOUR), Random(50)
    other = await postgres.worker("host:2", lease_for=24 * HOUR)
    parents = await _running(postgres, session)
    children = {parent: child(parent) for parent in parents}
    await postgres.flush(session, children=list(children.values()))
    while len(await postgres.claimed_ids(other, limit=500)) == 500:
        pass

    async def race(parent: ExecutionId) -> None:
        await _at_random_offsets(
            chance,
            _end(postgres.store, session, parent, Waiting(None, "waits", 0)),
            _end(elsewhere, other, children[parent].id, DONE),
        )
        assert (await postgres.see(parent)).status is Status.PENDING

    for ids in _rounds(parents):
        await asyncio.gather(*(race(id) for id in ids))


async def test_cancel_at_any_moment_around_the_end_is_told_what_then_shows(
    postgres: PostgresWorld, elsewhere: PostgresStore
) -> None:
    """F51."""
    session, chance = await postgres.worker(lease_for=24 * HOUR), Random(51)
    accepted = 0

    async def race(id: ExecutionId) -> None:
        nonlocal accepted
        _, told = await _at_random_offsets(
            chance, _end(postgres.store, session, id, DONE), elsewhere.cancel(id, reason="no longer needed")
        )
        status, is_cancelled = told
        assert (await postgres.see(id)).status is (Status.CANCELLED if is_cancelled else Status.COMPLETED)
        assert is_cancelled or status is Status.COMPLETED
        accepted += is_cancelled

    for ids in _rounds(await _running(postgres, session)):
        await asyncio.gather(*(race(id) for id in ids))

    assert TIMES / 50 < accepted < TIMES * 49 / 50  # both orders were met
