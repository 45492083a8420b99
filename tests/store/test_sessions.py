"""A worker's lease: opening, beating, ending, and what becomes of what it owned."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from stepwell.core.model import Ending, Reaped
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.store.world import DONE, HOUR, LEASE, MINUTE, World, checkpoint, executions


async def test_session_lives_as_long_as_it_beats(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)

    for _ in range(3):
        world.advance(LEASE - MINUTE)
        assert world.beat(session) is not None
        assert world.reap() == Reaped()

    await world.end(session, started)
    assert (await world.see(started)).status is Status.COMPLETED


async def test_beat_extends_the_lease_from_the_stores_clock(world: World) -> None:
    """F17."""
    session = await world.worker()
    world.advance(LEASE - MINUTE)
    world.beat(session, lease_for=timedelta(hours=5))
    world.advance(timedelta(hours=4))

    assert world.reap() == Reaped()


async def test_beat_of_an_ended_session_says_so(world: World) -> None:
    session = await world.worker()
    world.crash()

    assert world.beat(session) is None


async def test_late_beat_saves_a_session_that_nobody_has_ended(world: World) -> None:
    session = await world.worker()
    await world.start()
    world.advance(LEASE + MINUTE)

    assert world.beat(session) == frozenset()

    assert len(await world.claimed_ids(session)) == 1


async def test_executions_of_a_dead_worker_are_due_at_once(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.flush(session, checkpoints=[checkpoint(started)])

    reaped = world.crash()

    assert reaped == Reaped(sessions=1, freed=1)
    seen = await world.see(started)
    assert (seen.status, seen.crashes) == (Status.PENDING, 1)
    heir = await world.worker()
    assert (await world.see(started)).why == "its worker died; ready, waits for a free worker"
    claimed = await world.claim_one(heir)
    assert (claimed.id, claimed.passes, claimed.crashes) == (started, 2, 1)
    assert set(claimed.checkpoints) == {"fetch"}


async def test_only_expired_sessions_are_ended(world: World) -> None:
    dead = await world.worker()
    lost = await world.running(dead)
    world.advance(LEASE - MINUTE)
    alive = await world.worker()
    kept = await world.running(alive)
    world.advance(2 * MINUTE)

    assert world.reap() == Reaped(sessions=1, freed=1)

    assert (await world.see(lost)).status is Status.PENDING
    assert (await world.see(kept)).status is Status.RUNNING
    assert world.beat(alive) == frozenset()


async def test_ending_sessions_again_changes_nothing(world: World) -> None:
    await world.running(await world.worker())
    world.crash()

    assert world.reap() == Reaped()


async def test_many_dead_sessions_are_all_ended(world: World) -> None:
    """F11, F19: a bounded number at a time, and nobody is hidden behind the others."""
    await world.store.create(executions(130))
    for _ in range(130):
        await world.claim(await world.worker(), limit=1)

    world.advance(LEASE + MINUTE)

    assert [world.reap().sessions for _ in range(3)] == [100, 30, 0]
    assert (await world.store.count())[Status.PENDING] == 130


async def test_dead_session_is_not_hidden_behind_the_living(world: World) -> None:
    """F11: more of them than are ended at a time, before it and after it."""
    for session in range(221):
        await world.worker(lease_for=LEASE if session == 110 else 1_000 * LEASE)

    world.advance(LEASE + MINUTE)

    assert world.reap().sessions == 1


async def test_execution_that_crashes_workers_is_failed(world: World) -> None:
    """F63: others go on."""
    poison = await world.start()
    for expected in (Reaped(1, 1), Reaped(1, 1), Reaped(1, 0, (poison,))):
        assert await world.claimed_ids(await world.worker()) == [poison]
        world.advance(LEASE + MINUTE)
        assert world.reap(max_crashes=3) == expected

    seen = await world.see(poison)
    assert (seen.status, seen.why, seen.crashes) == (Status.FAILED, "crashed 3 workers", 3)
    assert seen.finished_at is not None
    assert seen.error is not None
    assert json.loads(seen.error) == {"type": "WorkerCrashed", "message": "crashed 3 workers", "traceback": ""}


async def test_crashes_count_only_in_a_row(world: World) -> None:
    started = await world.start()
    for _ in range(3):
        assert await world.claimed_ids(await world.worker()) == [started]
        world.advance(LEASE + MINUTE)
        assert world.reap(max_crashes=2).failed == ()
        session = await world.worker()
        assert await world.claimed_ids(session) == [started]
        await world.suspend(session, started, 0 * HOUR)

    assert (await world.see(started)).crashes == 0


async def test_session_that_leaves_hands_back_at_once(world: World) -> None:
    """F100: no lease has to run out, and it is no crash."""
    session, heir = await world.worker(), await world.worker()
    started = await world.running(session)

    await world.store.close_session(session)

    seen = await world.see(started)
    assert (seen.status, seen.crashes, seen.due_at is None) == (Status.PENDING, 0, False)
    assert seen.why == "handed back; ready, waits for a free worker"
    assert (await world.claim_one(heir)).id == started


async def test_session_that_left_writes_nothing_more(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.close_session(session)

    with pytest.raises(LeaseLost):
        await world.flush(session, endings=[Ending(started, DONE)])
    assert world.beat(session) is None


async def test_leaving_twice_changes_nothing(world: World) -> None:
    session, heir = await world.worker(), await world.worker()
    started = await world.running(session)
    await world.store.close_session(session)
    await world.claim_one(heir)

    await world.store.close_session(session)

    assert (await world.see(started)).status is Status.RUNNING


async def test_leaving_touches_only_its_own(world: World) -> None:
    session, other = await world.worker(), await world.worker()
    kept, done = await world.running(other), await world.running(session)
    await world.end(session, done)

    await world.store.close_session(session)

    assert (await world.see(kept)).status is Status.RUNNING
    assert (await world.see(done)).status is Status.COMPLETED


async def test_workers_are_listed_with_what_they_have_and_how_much_they_run(world: World) -> None:
    busy = await world.worker("b:2", workflows=("order", "order@2"), queues=("default", "slow"), lease_for=HOUR)
    idle = await world.worker("a:1", lease_for=MINUTE)
    await world.store.set_idle(idle, is_idle=True)
    await world.running(busy)
    world.advance(2 * MINUTE)

    first, second = await world.store.workers()

    assert (first.name, first.is_idle, first.is_alive, first.running) == ("a:1", True, False, 0)
    assert (second.name, second.is_idle, second.is_alive, second.running) == ("b:2", False, True, 1)
    assert (second.workflows, second.queues) == (("order", "order@2"), ("default", "slow"))
    assert second.started_at < second.expires_at
