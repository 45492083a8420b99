"""Children: started with their parent's checkpoint, their end wakes who has called them, cancelling reaches them."""

from __future__ import annotations

import psycopg
import pytest

from stepwell.core.model import Ending, Kind, NewCheckpoint, Outcome, Waiting
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.store.world import DONE, FAILED, HOUR, LEASE, MINUTE, STOPPED, Hints, World, checkpoint, child, unknown

ends = pytest.mark.parametrize("outcome", [DONE, FAILED, STOPPED])


def of_child(parent: object, key: str = "bill") -> NewCheckpoint:
    return checkpoint(parent, key, kind=Kind.CHILD)  # type: ignore[arg-type]


# --- their beginning ----------------------------------------------------------------------------------------------


async def test_child_is_started_together_with_its_checkpoint(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    new = child(parent)._replace(tags=("a", "b"))

    await world.flush(session, checkpoints=[of_child(parent)], children=[new])

    seen = await world.see(new.id)
    assert (seen.status, seen.parent_id, seen.parent_key) == (Status.PENDING, parent, "bill")
    assert (seen.workflow, seen.queue, seen.input, seen.tags) == ("order", "default", b'"child"', ("a", "b"))
    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.parent_id, claimed.input) == (new.id, parent, b'"child"')
    assert await world.keys(parent) == ["bill"]


async def test_child_of_a_lost_lease_is_refused_together_with_its_checkpoint(world: World) -> None:
    """F1, F21: all of it or nothing."""
    session, other = await world.worker(), await world.worker()
    parent = await world.running(session)
    new = child(parent)

    flushed = await world.flush(other, checkpoints=[of_child(parent)], children=[new])

    assert flushed.refused == {parent}
    assert await world.store.get(new.id) is None
    assert await world.keys(parent) == []


async def test_child_of_an_ended_session_is_not_started(world: World) -> None:
    """F1."""
    session = await world.worker()
    parent = await world.running(session)
    await world.store.close_session(session)
    new = child(parent)

    with pytest.raises(LeaseLost):
        await world.flush(session, children=[new])

    assert await world.store.get(new.id) is None


async def test_call_starts_one_child_only(world: World) -> None:
    """F3: whatever id a second one has."""
    session = await world.worker()
    parent = await world.running(session)
    await world.child(session, parent)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await world.flush(session, checkpoints=[of_child(parent)], children=[child(parent)])

    assert await world.keys(parent) == []


async def test_parent_sees_the_children_that_its_calls_have_started(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    started = await world.child(session, parent, "mail", is_called=False)
    await world.end(session, called, FAILED)

    bill, none, mail = await world.store.called([(parent, "bill"), (parent, "ship"), (parent, "mail")])

    assert none is None
    assert bill is not None
    assert mail is not None
    assert (bill.id, bill.status, bill.error, bill.reason) == (called, Status.FAILED, FAILED.error, FAILED.reason)
    assert (mail.id, mail.status, mail.finished_at) == (started, Status.PENDING, None)
    assert bill.finished_at is not None


async def test_children_of_nobody_are_none(world: World) -> None:
    assert await world.store.called([(unknown(), "bill")]) == [None]
    assert await world.store.called([]) == []


async def test_child_wakes_an_idle_worker(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    await world.store.set_idle(await world.worker(), is_idle=True)
    hints = Hints(world.store)

    await world.child(session, parent)

    assert await hints.next() == "work"


# --- their end ----------------------------------------------------------------------------------------------------


@ends
async def test_end_of_a_called_child_wakes_the_parked_parent(world: World, outcome: Outcome) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.park(session, parent)
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)

    await world.end(session, called, outcome)

    assert await hints.next() == "work"
    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.signals) == (parent, 1)


@ends
async def test_end_of_a_called_child_before_its_parent_parks_is_not_missed(world: World, outcome: Outcome) -> None:
    """F50."""
    session = await world.worker()
    parent, called = await world.family(session)

    await world.end(session, called, outcome)
    await world.park(session, parent)

    assert await world.claimed_ids(session) == [parent]


@pytest.mark.parametrize("first", ["parent", "child"])
@ends
async def test_end_of_a_called_child_in_the_flush_that_parks_its_parent_is_not_missed(
    world: World, outcome: Outcome, first: str
) -> None:
    """F50."""
    session = await world.worker()
    parent, called = await world.family(session)
    endings = [Ending(parent, Waiting(world.store.now() + HOUR, "waits", 0)), Ending(called, outcome)]

    await world.flush(session, endings=endings if first == "parent" else endings[::-1])

    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.signals) == (parent, 1)


async def test_end_of_a_child_that_was_not_called_wakes_nobody(world: World) -> None:
    session = await world.worker()
    parent = await world.running(session)
    started = await world.child(session, parent, is_called=False)
    assert await world.claimed_ids(session) == [started]
    await world.park(session, parent)

    await world.end(session, started)

    seen = await world.see(parent)
    assert (seen.status, seen.due_at) == (Status.WAITING, None)


async def test_child_that_only_stops_for_a_while_does_not_wake_its_parent(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.park(session, parent)

    await world.suspend(session, called)

    assert (await world.see(parent)).status is Status.WAITING


async def test_many_children_that_end_in_one_flush_wake_their_parents_once(world: World) -> None:
    session = await world.worker()
    parents = [await world.running(session) for _ in range(3)]
    for parent in parents:
        await world.flush(session, children=[child(parent, f"call#{n}") for n in range(10)])
    called = await world.claimed_ids(session)
    await world.flush(session, endings=[Ending(parent, Waiting(None, "waits", 0)) for parent in parents])

    await world.flush(session, endings=[Ending(id, DONE) for id in called])

    claim = await world.claim(session)
    assert {(one.id, one.signals) for one in claim.executions} == {(parent, 1) for parent in parents}


async def test_end_that_is_refused_wakes_no_parent(world: World) -> None:
    """F1."""
    session, other = await world.worker(), await world.worker()
    parent, called = await world.family(session)
    await world.park(session, parent)

    flushed = await world.flush(other, endings=[Ending(called, DONE)])

    assert flushed.refused == {called}
    assert (await world.see(parent)).status is Status.WAITING


async def test_child_that_crashes_too_often_wakes_its_parent(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.park(session, parent)
    world.advance(LEASE + MINUTE)

    reaped = world.reap(max_crashes=1)

    assert reaped.failed == (called,)
    assert (await world.see(parent)).status is Status.PENDING


async def test_child_and_parent_that_crash_together_go_on_both_or_end(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    world.advance(LEASE + MINUTE)

    assert world.reap(max_crashes=2).freed == 2

    assert sorted(await world.claimed_ids(await world.worker())) == sorted([parent, called])


@pytest.mark.parametrize("force", [False, True])
async def test_cancelled_child_wakes_its_parent(world: World, force: bool) -> None:
    session = await world.worker()
    parent = await world.running(session)
    called = await world.child(session, parent)
    if force:
        assert await world.claimed_ids(session) == [called]
    await world.park(session, parent)

    assert await world.store.cancel(called, reason="no longer needed", force=force) == (Status.CANCELLED, True)

    assert await world.claimed_ids(session) == [parent]


# --- cancelling reaches them --------------------------------------------------------------------------------------


async def _end_cancelled(world: World, session: object, parent: object) -> None:
    await world.store.cancel(parent, reason="no longer needed")  # type: ignore[arg-type]
    await world.flush(session, endings=[Ending(parent, STOPPED, is_aware=True)])  # type: ignore[arg-type]


async def test_cancelled_parent_cancels_the_children_that_it_has_called(world: World) -> None:
    session = await world.worker()
    parent, running = await world.family(session)
    waiting = await world.child(session, parent, "second")
    assert await world.claimed_ids(session) == [waiting]
    await world.park(session, waiting)
    fresh = await world.child(session, parent, "third")
    started = await world.child(session, parent, "fourth", is_called=False)

    await _end_cancelled(world, session, parent)

    assert world.beat(session) == frozenset({running})
    seen = {id: (await world.see(id)).status for id in (fresh, waiting, started)}
    assert seen == {fresh: Status.CANCELLED, waiting: Status.PENDING, started: Status.PENDING}
    assert (await world.see(fresh)).why == "its parent has ended"
    claim = {one.id: one.cancel_reason for one in (await world.claim(session)).executions}
    assert claim == {waiting: "its parent has ended", started: None}


async def test_children_are_cancelled_only_when_their_parent_has_ended(world: World) -> None:
    """Its clean-up may still need them."""
    session = await world.worker()
    parent, called = await world.family(session)

    await world.store.cancel(parent, reason="no longer needed")

    assert world.beat(session) == frozenset({parent})
    await world.suspend(session, called)
    assert (await world.see(called)).why != "is being cancelled"


async def test_parent_that_completes_cancels_what_it_has_called_and_waits_for_no_longer(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)

    await world.end(session, parent, DONE)

    assert world.beat(session) == frozenset({called})


async def test_parent_that_failed_leaves_its_children_alone(world: World) -> None:
    """It may be retried, and then waits for them again."""
    session = await world.worker()
    parent, called = await world.family(session)

    await world.end(session, parent, FAILED)

    assert world.beat(session) == frozenset()
    assert (await world.see(called)).status is Status.RUNNING


@pytest.mark.parametrize("first", ["parent", "child"])
async def test_child_that_stops_in_the_flush_that_ends_its_cancelled_parent_is_cancelled(
    world: World, first: str
) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.store.cancel(parent, reason="no longer needed")
    endings = [Ending(parent, STOPPED), Ending(called, Waiting(None, "waits", 0))]

    await world.flush(session, endings=endings if first == "parent" else endings[::-1])

    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.cancel_reason) == (called, "its parent has ended")


async def test_child_that_ends_in_the_flush_that_ends_its_cancelled_parent_keeps_its_end(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)

    await world.flush(session, endings=[Ending(parent, STOPPED), Ending(called, DONE)])

    assert (await world.see(called)).status is Status.COMPLETED


@pytest.mark.parametrize("is_called", [True, False])
async def test_child_that_is_called_in_the_flush_that_ends_its_parent_never_begins(
    world: World, is_called: bool
) -> None:
    session = await world.worker()
    parent = await world.running(session)
    new = child(parent, is_called=is_called)

    await world.flush(session, children=[new], endings=[Ending(parent, STOPPED)])

    status = Status.CANCELLED if is_called else Status.PENDING
    assert (await world.see(new.id)).status is status


async def test_force_reaches_the_children_who_still_clean_up(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    fresh = await world.child(session, parent, "fresh")

    assert await world.store.cancel(parent, reason="at once", force=True) == (Status.CANCELLED, True)

    assert world.beat(session) == frozenset({called})
    assert (await world.see(fresh)).status is Status.CANCELLED


async def test_parent_that_crashes_too_often_while_it_is_cancelled_cancels_its_children(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    elsewhere = await world.child(session, parent, "elsewhere")
    await world.suspend(session, called)
    await world.store.cancel(parent, reason="no longer needed")
    world.advance(LEASE + MINUTE)

    world.reap(max_crashes=1)

    assert (await world.see(parent)).status is Status.CANCELLED
    assert (await world.see(elsewhere)).status is Status.CANCELLED
    claimed = await world.claim_one(await world.worker())
    assert (claimed.id, claimed.cancel_reason) == (called, "its parent has ended")


async def test_watched_child_that_is_cancelled_with_its_parent_wakes_who_waits_for_it(world: World) -> None:
    """F41."""
    session = await world.worker()
    parent = await world.running(session)
    called = await world.child(session, parent)
    await world.store.watch([called])
    hints = Hints(world.store)

    await world.end(session, parent, STOPPED)

    assert await hints.next() == "done"


async def test_child_that_is_called_in_the_flush_in_which_its_parent_only_stops_begins(world: World) -> None:
    """Found by the random comparison: its parent is being cancelled, and another family's end is in the same flush."""
    session = await world.worker()
    parent, called = await world.family(session)
    cleaning = await world.running(session)
    await world.store.cancel(cleaning, reason="no longer needed")
    new = child(cleaning)

    endings = [Ending(parent, DONE), Ending(cleaning, Waiting(None, "waits", 0), is_aware=True)]
    await world.flush(session, children=[new], endings=endings)

    assert (await world.see(new.id)).status is Status.PENDING
    assert world.beat(session) == frozenset({called})
