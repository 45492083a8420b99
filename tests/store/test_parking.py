"""Parking: an execution that waits gives everything back, and nothing that could let it go on is missed."""

from __future__ import annotations

import pytest

from stepwell.core.model import Ending, Waiting
from stepwell.core.status import Status
from tests.store.world import HOUR, MINUTE, Hints, World


async def test_parked_execution_waits_without_a_time(world: World) -> None:
    session = await world.worker()

    parked = await world.waiting(session)

    seen = await world.see(parked)
    assert (seen.status, seen.why, seen.due_at) == (Status.WAITING, "waits", None)
    world.advance(1_000 * HOUR)
    assert await world.claimed_ids(await world.worker()) == []


async def test_parked_execution_is_due_when_its_time_out_comes(world: World) -> None:
    """F54: no earlier, no later."""
    session = await world.worker(lease_for=10 * HOUR)
    parked = await world.running(session)
    due_at = world.store.now() + HOUR
    await world.end(session, parked, Waiting(due_at, "waits", 0))

    seen = await world.see(parked)
    assert (seen.status, seen.due_at) == (Status.WAITING, due_at)
    assert seen.why == f"waits until {due_at:%Y-%m-%d %H:%M:%S} UTC"
    assert (await world.claim(session)).next_due_at == due_at
    world.advance(HOUR - MINUTE)
    assert await world.claimed_ids(session) == []
    world.advance(2 * MINUTE)
    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.passes, claimed.signals) == (parked, 2, 0)


async def test_event_between_look_and_park_is_not_missed(world: World) -> None:
    """F40, F49."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    await world.send()

    await world.park(session, started)

    seen = await world.see(started)
    assert (seen.status, seen.due_at) == (Status.PENDING, seen.due_at)
    assert (await world.claim_one(session)).signals == 1


async def test_event_since_the_claim_makes_a_time_out_due_at_once(world: World) -> None:
    """F54: the time-out that the pass had in mind does not count any more."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    await world.send()

    await world.end(session, started, Waiting(world.store.now() + HOUR, "waits", 0))

    assert await world.claimed_ids(session) == [started]


async def test_event_that_the_pass_has_seen_does_not_wake_it_again(world: World) -> None:
    session = await world.worker()
    started = await world.waiting(session)
    await world.send()
    claimed = await world.claim_one(session)

    await world.park(session, started, signals=claimed.signals)

    assert (await world.see(started)).status is Status.WAITING


async def test_event_makes_a_parked_time_out_due_now_and_once(world: World) -> None:
    """F46."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    await world.end(session, started, Waiting(world.store.now() + HOUR, "waits", 0))

    await world.send(b"1")
    await world.send(b"2")

    assert await world.claimed_ids(session) == [started]
    assert await world.claimed_ids(session) == []


async def test_event_does_not_hurry_a_sleeper(world: World) -> None:
    """F18, F54: it waits for something else now."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    await world.suspend(session, started)
    due_at = (await world.see(started)).due_at

    await world.send()

    assert (await world.see(started)).due_at == due_at


async def test_event_does_not_touch_who_runs(world: World) -> None:
    """F18: nobody else may claim it."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)

    await world.send()

    seen = await world.see(started)
    assert (seen.status, seen.due_at, seen.passes) == (Status.RUNNING, None, 1)
    assert await world.claimed_ids(await world.worker()) == []


async def test_pass_that_parks_after_its_event_wakes_an_idle_worker(world: World) -> None:
    session, idle = await world.worker(), await world.worker()
    await world.store.set_idle(idle, is_idle=True)
    started = await world.running(session)
    await world.look(started)
    await world.send()
    hints = Hints(world.store)

    await world.park(session, started)

    assert await hints.next() == "work"


async def test_wait_survives_the_death_of_the_worker(world: World) -> None:
    """F49: it is registered already; the event that comes before the next pass is found by it."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    world.crash()

    await world.send(b"meanwhile")

    heir = await world.worker()
    assert (await world.claim_one(heir)).id == started
    event = await world.look(started)
    assert event is not None
    assert event.payload == b"meanwhile"


async def test_parking_is_refused_to_who_does_not_own_it(world: World) -> None:
    """F1."""
    session, other = await world.worker(), await world.worker()
    started = await world.running(session)

    flushed = await world.flush(other, endings=[Ending(started, Waiting(None, "waits", 0))])

    assert flushed.refused == {started}
    assert (await world.see(started)).status is Status.RUNNING


@pytest.mark.parametrize("is_aware", [False, True])
async def test_cancel_that_the_pass_has_not_been_told_of_makes_it_due_at_once(world: World, is_aware: bool) -> None:
    """F51: one that knows may wait during its clean-up."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="no longer needed")

    await world.flush(session, endings=[Ending(started, Waiting(None, "waits", 0), is_aware=is_aware)])

    assert await world.claimed_ids(session) == ([] if is_aware else [started])


async def test_waiting_execution_cannot_be_retried_by_hand(world: World) -> None:
    session = await world.worker()
    parked = await world.waiting(session)

    assert await world.store.reopen(parked) == (Status.WAITING, False)
