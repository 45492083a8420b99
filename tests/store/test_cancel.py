"""Ending an execution from outside."""

from __future__ import annotations

import pytest

from stepwell.core.model import Ending, Order, Suspended
from stepwell.core.status import Status
from tests.store.world import DONE, FAILED, HOUR, STOPPED, World, checkpoint, unknown


async def test_execution_that_has_not_begun_is_cancelled_at_once(world: World) -> None:
    started = await world.start(delay_seconds=60)

    answer = await world.store.cancel(started, reason="duplicate order")

    assert answer == (Status.CANCELLED, True)
    seen = await world.see(started)
    assert (seen.status, seen.why, seen.due_at) == (Status.CANCELLED, "duplicate order", None)
    assert seen.finished_at is not None


async def test_cancelled_execution_is_never_claimed(world: World) -> None:
    started = await world.start()
    await world.store.cancel(started, reason="duplicate order")
    session = await world.worker()

    assert await world.claimed_ids(session) == []


async def test_running_execution_is_cancelled_by_its_worker(world: World) -> None:
    session = await world.worker("host:7")
    started = await world.running(session)

    answer = await world.store.cancel(started, reason="duplicate order")

    assert answer == (Status.RUNNING, True)
    seen = await world.see(started)
    assert (seen.status, seen.why, seen.finished_at) == (Status.RUNNING, "being cancelled by host:7", None)


async def test_worker_is_told_when_and_why_its_execution_is_to_be_cancelled(world: World) -> None:
    session = await world.worker()
    mine, other = await world.running(session), await world.running(session)
    await world.store.cancel(mine, reason="duplicate order")

    orders = await world.store.orders([mine, other])

    assert orders[mine].cancel_reason == "duplicate order"
    assert orders[mine].cancel_requested_at is not None
    assert orders[other] == Order(None, None, is_paused=False)


async def test_heartbeat_tells_which_executions_are_to_be_cancelled(world: World) -> None:
    """F52: no notification is needed."""
    session = await world.worker()
    mine, _ = await world.running(session), await world.running(session)
    assert world.beat(session) == frozenset()

    await world.store.cancel(mine, reason="duplicate order")

    assert world.beat(session) == frozenset({mine})


async def test_cancelling_again_is_answered_alike(world: World) -> None:
    session = await world.worker()
    running, waiting = await world.running(session), await world.start()

    for _ in range(2):
        assert await world.store.cancel(running, reason="duplicate order") == (Status.RUNNING, True)
        assert await world.store.cancel(waiting, reason="duplicate order") == (Status.CANCELLED, True)


async def test_ended_execution_cannot_be_cancelled(world: World) -> None:
    """F51."""
    completed, failed = await world.ended(DONE), await world.ended(FAILED)

    assert await world.store.cancel(completed, reason="too late") == (Status.COMPLETED, False)
    assert await world.store.cancel(failed, reason="too late") == (Status.FAILED, False)

    assert (await world.see(completed)).status is Status.COMPLETED
    assert (await world.see(failed)).why == "ValueError: no"


async def test_unknown_execution_is_said_to_be_unknown(world: World) -> None:
    assert await world.store.cancel(unknown(), reason="what") is None


async def test_cancel_survives_the_workers_death(world: World) -> None:
    """F51: another worker is told with the claim, and lets the workflow clean up."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")

    reaped = world.crash()

    assert (reaped.sessions, reaped.freed, reaped.failed) == (1, 1, ())
    claimed = await world.claim_one(await world.worker())
    assert (claimed.id, claimed.cancel_reason) == (started, "duplicate order")
    assert claimed.cancel_requested_at is not None


async def test_cancel_survives_the_workers_leaving(world: World) -> None:
    """F51."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")

    await world.store.close_session(session)

    claimed = await world.claim_one(await world.worker())
    assert (claimed.id, claimed.cancel_reason) == (started, "duplicate order")


async def test_cancel_wins_over_too_many_crashes(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")
    world.advance(HOUR)

    reaped = world.reap(max_crashes=1)

    assert reaped.failed == ()
    assert (await world.see(started)).status is Status.CANCELLED


# --- what has begun ends after its clean-up -----------------------------------------------------------------------


@pytest.mark.parametrize("is_waiting", [True, False])
async def test_execution_that_has_begun_goes_on_to_clean_up(world: World, is_waiting: bool) -> None:
    session = await world.worker()
    started = await world.running(session)
    if is_waiting:
        await world.park(session, started)
    else:
        await world.suspend(session, started)

    assert await world.store.cancel(started, reason="duplicate order") == (Status.PENDING, True)

    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.cancel_reason) == (started, "duplicate order")
    await world.flush(session, endings=[Ending(started, STOPPED, is_aware=True)])
    seen = await world.see(started)
    assert (seen.status, seen.why) == (Status.CANCELLED, "duplicate order")


async def test_clean_up_may_sleep_and_retry(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")

    later = Suspended(world.store.now() + HOUR, "retries 'undo'")
    await world.flush(session, endings=[Ending(started, later, is_aware=True)])

    assert await world.claimed_ids(session) == []
    assert (await world.see(started)).due_at == later.due_at


async def test_pass_that_was_not_told_of_its_cancelling_is_followed_by_one_that_is(world: World) -> None:
    """F51."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")

    await world.suspend(session, started)

    assert (await world.claim_one(session)).cancel_requested_at is not None


@pytest.mark.parametrize("state", ["fresh", "running", "asleep", "waiting"])
async def test_force_ends_an_execution_at_once(world: World, state: str) -> None:
    session = await world.worker()
    started = await world.start() if state == "fresh" else await world.running(session)
    if state == "asleep":
        await world.suspend(session, started)
    if state == "waiting":
        await world.park(session, started)

    assert await world.store.cancel(started, reason="at once", force=True) == (Status.CANCELLED, True)

    seen = await world.see(started)
    assert (seen.status, seen.why, seen.due_at) == (Status.CANCELLED, "at once", None)
    assert await world.claimed_ids(session) == []


async def test_worker_of_an_execution_that_was_ended_by_force_stores_nothing_more(world: World) -> None:
    """F51: whoever ran it has lost it."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="at once", force=True)

    flushed = await world.flush(session, checkpoints=[checkpoint(started)], endings=[Ending(started, DONE)])

    assert flushed.refused == {started}
    assert (await world.see(started)).status is Status.CANCELLED
    assert await world.keys(started) == []


async def test_force_ends_what_is_being_cancelled(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="duplicate order")

    assert await world.store.cancel(started, reason="at once", force=True) == (Status.CANCELLED, True)


async def test_what_is_being_cancelled_cannot_be_retried_before_it_has_ended(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.suspend(session, started)
    await world.store.cancel(started, reason="duplicate order")

    assert await world.store.reopen(started) == (Status.PENDING, False)


async def test_cancel_while_an_undoable_end_is_stored_lets_the_execution_go_on_to_undo(world: World) -> None:
    """F51: it was told that it would be cancelled; what it did is not left as it is."""
    session = await world.worker()
    started = await world.running(session)
    assert await world.store.cancel(started, reason="too dear") == (Status.RUNNING, True)

    await world.flush(session, endings=[Ending(started, DONE, is_undoable=True)])

    seen = await world.see(started)
    assert (seen.status, seen.result, seen.finished_at) == (Status.PENDING, None, None)
    assert seen.why == "is being cancelled; ready, waits for a free worker"
    assert (await world.claim_one(session)).cancel_reason == "too dear"
    await world.flush(session, endings=[Ending(started, STOPPED, is_aware=True)])
    assert (await world.see(started)).status is Status.CANCELLED


async def test_family_of_an_execution_that_goes_on_to_undo_hears_of_no_end(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    grandchild = await world.child(session, called)
    await world.park(session, parent)
    await world.store.cancel(called, reason="too dear")

    await world.flush(session, endings=[Ending(called, DONE, is_undoable=True)])

    assert (await world.see(parent)).status is Status.WAITING
    assert set(await world.claimed_ids(session)) == {called, grandchild}
    await world.flush(session, endings=[Ending(called, STOPPED, is_aware=True)])
    assert (await world.see(parent)).status is Status.PENDING
    assert world.beat(session) == frozenset({grandchild})


async def test_undoable_end_that_nobody_cancels_is_one(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)

    await world.flush(session, endings=[Ending(started, DONE, is_undoable=True)])

    assert (await world.see(started)).status is Status.COMPLETED
