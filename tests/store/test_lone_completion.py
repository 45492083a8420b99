"""One execution completes and nothing else is stored with it: the store may have a shorter way for that."""

from __future__ import annotations

import psycopg
import pytest

from stepwell.core.model import (
    Batch,
    Ending,
    ExecutionId,
    Flushed,
    Kind,
    Look,
    NewChild,
    SessionId,
    Waiting,
)
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from stepwell.store.identity import new_id
from tests.store.world import DONE, HOUR, PostgresWorld, World, checkpoint

NOTHING_AMISS = Flushed(frozenset(), frozenset())


async def called(world: World, session: SessionId, parent: ExecutionId) -> ExecutionId:
    """A child that this execution waits for; nobody has claimed it yet."""
    child = ExecutionId(new_id())
    batch = Batch(
        [checkpoint(parent, "total", kind=Kind.CHILD)],
        children=[NewChild(child, "order", "default", b"{}", parent, "total", is_called=True)],
    )
    assert await world.store.flush(session, batch) == NOTHING_AMISS
    return child


async def complete(world: World, session: SessionId, execution_id: ExecutionId) -> Flushed:
    return await world.flush(session, endings=[Ending(execution_id, DONE)])


@pytest.mark.parametrize("owner", ["another", "nobody"])
async def test_what_is_no_longer_owned_is_refused(world: World, owner: str) -> None:
    """F1"""
    session, heir = await world.worker(), await world.worker()
    lost = await world.running(session)
    await world.suspend(session, lost, 0 * HOUR)
    if owner == "another":
        await world.claim_one(heir)

    flushed = await complete(world, session, lost)

    assert flushed == Flushed(frozenset({lost}), frozenset())
    assert (await world.see(lost)).status is (Status.RUNNING if owner == "another" else Status.PENDING)


async def test_ended_session_completes_nothing(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    world.crash()

    with pytest.raises(LeaseLost):
        await complete(world, session, started)

    assert (await world.see(started)).status is Status.PENDING


async def test_what_else_is_to_be_cancelled_is_told(world: World) -> None:
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    await world.store.cancel(other, reason="no longer needed")

    assert await complete(world, session, started) == Flushed(frozenset(), frozenset({other}))


async def test_child_lets_its_parent_go_on(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    child = await called(world, session, parent)
    assert await world.claimed_ids(session) == [child]
    await world.end(session, parent, Waiting(None, "child 'total'", 0))
    assert (await world.see(parent)).status is Status.WAITING

    await complete(world, session, child)

    assert (await world.see(parent)).status is Status.PENDING


async def test_parent_takes_the_children_that_it_waits_for_along(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    child = await called(world, session, parent)

    await complete(world, session, parent)

    assert (await world.see(child)).status is Status.CANCELLED


async def test_parent_of_ended_children_is_completed(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    child = await called(world, session, parent)
    assert await world.claimed_ids(session) == [child]
    await complete(world, session, child)

    await complete(world, session, parent)

    assert [(await world.see(id)).status for id in (child, parent)] == [Status.COMPLETED] * 2


async def test_no_wait_is_left_behind(postgres: PostgresWorld) -> None:
    """Nothing else would ever delete its row."""
    session = await postgres.worker()
    started = await postgres.running(session)
    look = Look(started, "paid", "paid", "k:1", 0, postgres.store.now())
    assert await postgres.store.look([look]) == [None]

    await complete(postgres, session, started)

    assert (await postgres.see(started)).status is Status.COMPLETED
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("select count(*) from stepwell.wait").fetchone() == (0,)
