"""Many checkpoints and completions in one flush: the store may have a shorter way for those that are nobody else's."""

from __future__ import annotations

import psycopg
import pytest

from stepwell.core.model import Batch, Completed, Ending, Flushed, Suspended
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.databases import refusal
from tests.store.world import DONE, HOUR, PostgresWorld, World, checkpoint

NOTHING_AMISS = Flushed(frozenset(), frozenset())


async def test_each_gets_its_own_result_and_its_checkpoints(world: World) -> None:
    session = await world.worker()
    one, other, third = [await world.running(session) for _ in range(3)]

    flushed = await world.flush(
        session,
        checkpoints=[checkpoint(one, "last"), checkpoint(third, "first")],
        endings=[Ending(one, Completed(b"1")), Ending(other, Completed(b"2"))],
    )

    assert flushed == NOTHING_AMISS
    seen = [await world.see(id) for id in (one, other, third)]
    assert [(it.status, it.result) for it in seen] == [
        (Status.COMPLETED, b"1"),
        (Status.COMPLETED, b"2"),
        (Status.RUNNING, None),
    ]
    assert [await world.keys(id) for id in (one, other, third)] == [["last"], [], ["first"]]


async def test_one_that_is_being_cancelled_is_cancelled_and_the_others_complete(world: World) -> None:
    """F51: who cancelled it was told so."""
    session = await world.worker()
    asked, free = await world.running(session), await world.running(session)
    await world.store.cancel(asked, reason="no longer needed")

    flushed = await world.flush(
        session, checkpoints=[checkpoint(asked, "last")], endings=[Ending(asked, DONE), Ending(free, DONE)]
    )

    assert flushed == NOTHING_AMISS
    assert [(await world.see(id)).status for id in (asked, free)] == [Status.CANCELLED, Status.COMPLETED]
    assert await world.keys(asked) == ["last"]


async def test_nothing_of_one_that_is_no_longer_owned_is_stored(world: World) -> None:
    """F1"""
    session = await world.worker()
    lost, kept = await world.running(session), await world.running(session)
    await world.end(session, lost, Suspended(world.store.now() + HOUR, "sleeping"))

    flushed = await world.flush(
        session,
        checkpoints=[checkpoint(lost, "last"), checkpoint(kept, "last")],
        endings=[Ending(lost, DONE), Ending(kept, DONE)],
    )

    assert flushed == Flushed(frozenset({lost}), frozenset())
    assert [(await world.see(id)).status for id in (lost, kept)] == [Status.PENDING, Status.COMPLETED]
    assert [await world.keys(id) for id in (lost, kept)] == [[], ["last"]]


@pytest.mark.parametrize("is_child", [True, False], ids=["known to be a child", "a child only the store knows"])
async def test_child_among_them_lets_its_parent_go_on(world: World, is_child: bool) -> None:
    session = await world.worker()
    parent = await world.running(session)
    child = await world.child(session, parent)
    assert await world.claimed_ids(session) == [child]
    await world.park(session, parent)
    other = await world.running(session)

    await world.flush(session, endings=[Ending(child, DONE, is_child=is_child), Ending(other, DONE)])

    assert [(await world.see(id)).status for id in (parent, child, other)] == [
        Status.PENDING,
        Status.COMPLETED,
        Status.COMPLETED,
    ]


# statement cancelled, disk full, deadlock
@pytest.mark.parametrize("code", ["57014", "53100", "40P01"])
async def test_what_is_left_is_tried_again_alone(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """F22: the others are stored already, and the session has lost nothing."""
    monkeypatch.setattr("stepwell.store.postgres.PAUSE_SECONDS", 0.001)
    session = await postgres.worker()
    parent = await postgres.running(session)
    child = await postgres.child(session, parent)
    assert await postgres.claimed_ids(session) == [child]
    other = await postgres.running(session)
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        is_its_end = f"new.id = '{child}' and new.status = 'completed'"
        admin.execute(refusal("update on stepwell.execution", code, when=is_its_end, times=2))

    flushed = await postgres.flush(
        session, checkpoints=[checkpoint(other)], endings=[Ending(child, DONE), Ending(other, DONE)]
    )

    assert flushed == NOTHING_AMISS
    assert [(await postgres.see(id)).status for id in (child, other)] == [Status.COMPLETED] * 2


async def test_what_else_is_to_be_cancelled_is_told(world: World) -> None:
    session = await world.worker()
    one, other, asked = [await world.running(session) for _ in range(3)]
    await world.store.cancel(asked, reason="no longer needed")

    flushed = await world.flush(session, endings=[Ending(one, DONE), Ending(other, DONE)])

    assert flushed == Flushed(frozenset(), frozenset({asked}))


async def test_ended_session_stores_nothing(world: World) -> None:
    session = await world.worker()
    one, other = await world.running(session), await world.running(session)
    world.crash()

    with pytest.raises(LeaseLost):
        await world.store.flush(session, Batch([checkpoint(one)], [], [Ending(one, DONE), Ending(other, DONE)]))

    assert [(await world.see(id)).status for id in (one, other)] == [Status.PENDING] * 2
    assert await world.keys(one) == []
