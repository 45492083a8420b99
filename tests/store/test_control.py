"""Pausing, resuming and the record of who did what."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stepwell.core.model import (
    AuditRecord,
    Batch,
    ClaimRequest,
    Ending,
    ExecutionId,
    FailedAttempt,
    NewFork,
    Order,
    Outcome,
    SessionId,
    Suspended,
    Waiting,
)
from stepwell.core.status import Status
from stepwell.store.identity import new_id
from tests.store.world import DONE, FAILED, HOUR, LEASE, MINUTE, STOPPED, World, checkpoint, unknown

# --- what is not running ---------------------------------------------------------------------------------------------


async def idle(world: World, state: str) -> ExecutionId:
    """An execution that no worker runs."""
    if state == "delayed":
        return await world.start(delay_seconds=60)
    if state == "ready":
        return await world.start()
    session = await world.worker("gone:1")
    started = await (world.waiting(session) if state == "waiting" else world.running(session))
    if state == "asleep":
        await world.suspend(session, started)
    await world.store.close_session(session)
    return started


each_idle = pytest.mark.parametrize("state", ["ready", "delayed", "asleep", "waiting"])


@each_idle
async def test_paused_execution_is_not_claimed_whatever_falls_due_or_comes(world: World, state: str) -> None:
    started = await idle(world, state)
    status = (await world.see(started)).status

    assert await world.pause(started) == (status, True)
    world.advance(LEASE)
    await world.send()
    world.advance(2 * HOUR)

    session = await world.worker()
    claim = await world.claim(session)
    assert (claim.executions, claim.next_due_at) == ([], None)
    why = (await world.see(started)).why
    assert why is not None
    assert why.startswith("paused by ann")


@each_idle
async def test_resumed_execution_goes_on_with_what_fell_due_or_came(world: World, state: str) -> None:
    started = await idle(world, state)
    await world.pause(started)
    await world.send()
    world.advance(2 * HOUR)

    assert await world.resume(started) == (Status.PENDING, True)

    assert await world.claimed_ids(await world.worker()) == [started]


async def test_resumed_execution_is_due_now_for_workers_that_do_not_look_far_back(world: World) -> None:
    """They begin at the newest one that they have taken."""
    started = await world.start()
    await world.pause(started)
    world.advance(HOUR)
    await world.resume(started)

    session = await world.worker()
    not_before = world.store.now() - MINUTE
    claim = await world.store.claim(session, ClaimRequest(("default",), ("order",), 5, not_before=not_before))

    assert [claimed.id for claimed in claim.executions] == [started]


async def test_resumed_sleeper_sleeps_on(world: World) -> None:
    started = await idle(world, "asleep")
    due_at = (await world.see(started)).due_at
    await world.pause(started)
    await world.resume(started)

    assert (await world.see(started)).due_at == due_at
    assert await world.claimed_ids(await world.worker()) == []


async def test_resumed_execution_waits_on_for_what_has_not_come(world: World) -> None:
    started = await idle(world, "waiting")
    await world.pause(started)

    assert await world.resume(started) == (Status.WAITING, True)

    await world.send()
    assert await world.claimed_ids(await world.worker()) == [started]


async def test_others_are_claimed_beside_a_paused_one(world: World) -> None:
    paused, other = await world.start(), await world.start()
    await world.pause(paused)

    assert await world.claimed_ids(await world.worker()) == [other]


async def test_suspect_that_is_paused_is_not_claimed(world: World) -> None:
    started = await world.start()
    for _ in range(2):
        await world.claim_one(await world.worker())
        world.crash()
    await world.pause(started)

    assert await world.claimed_ids(await world.worker()) == []


async def test_only_what_can_go_on_is_paused_and_only_what_is_paused_is_resumed(world: World) -> None:
    ended = await world.ended()
    running = await world.running(await world.worker())
    await world.store.cancel(running, reason="no longer needed")

    assert await world.pause(ended) == (Status.COMPLETED, False)
    assert await world.resume(ended) == (Status.COMPLETED, False)
    assert await world.pause(running) == (Status.RUNNING, False)
    assert await world.resume(await world.start()) == (Status.PENDING, False)
    assert await world.pause(unknown()) is None
    assert await world.resume(unknown()) is None


async def test_pausing_twice_changes_nothing(world: World) -> None:
    started = await world.start()
    await world.pause(started, by="ann")

    assert await world.pause(started, by="bob") == (Status.PENDING, True)

    assert (await world.see(started)).why == "paused by ann"
    assert await world.audited(started) == [("ann", "pause")]


# --- what is running -------------------------------------------------------------------------------------------------


async def test_heartbeat_tells_of_a_pause_until_it_is_taken_back(world: World) -> None:
    session = await world.worker()
    mine, _ = await world.running(session), await world.running(session)

    assert await world.pause(mine) == (Status.RUNNING, True)
    assert world.beat(session) == frozenset({mine})
    assert await world.store.orders([mine]) == {mine: Order(None, None, is_paused=True)}
    assert (await world.see(mine)).why == "being paused by ann"

    await world.resume(mine)
    assert world.beat(session) == frozenset()
    assert await world.store.orders([mine, unknown()]) == {mine: Order(None, None, is_paused=False)}


@pytest.mark.parametrize("kind", ["one checkpoint", "checkpoints", "attempt", "one completion", "ending"])
async def test_every_kind_of_flush_tells_of_a_pause(world: World, kind: str) -> None:
    session = await world.worker()
    mine, other = await world.running(session), await world.running(session)
    await world.pause(mine)
    later = Suspended(world.store.now() + HOUR, "sleeping")
    batch = {
        "one checkpoint": Batch([checkpoint(mine)]),
        "checkpoints": Batch([checkpoint(mine, "a"), checkpoint(other, "b")]),
        "attempt": Batch([], [FailedAttempt(other, "call", 1, world.store.now(), b"e")]),
        "one completion": Batch([], [], [Ending(other, DONE)]),
        "ending": Batch([], [], [Ending(other, later)]),
    }[kind]

    flushed = await world.store.flush(session, batch)

    assert flushed.cancelling == frozenset({mine})


@pytest.mark.parametrize("outcome", [DONE, FAILED])
async def test_flush_that_ends_a_paused_execution_tells_of_it_no_more(world: World, outcome: Outcome) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)

    flushed = await world.flush(session, endings=[Ending(started, outcome)])

    assert flushed.cancelling == frozenset()
    assert world.beat(session) == frozenset()


async def hand_back(world: World, session: SessionId, started: ExecutionId) -> None:
    """The pass has heard of the pause."""
    await world.end(session, started, Suspended(world.store.now(), "handed back"))


async def test_paused_pass_is_handed_back_and_claimed_only_after_it_is_resumed(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)
    await hand_back(world, session, started)
    assert await world.claimed_ids(session) == []

    await world.resume(started)

    assert await world.claimed_ids(session) == [started]
    assert world.beat(session) == frozenset()


async def test_resume_that_comes_before_the_pass_is_handed_back_counts(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)
    await world.resume(started)
    await hand_back(world, session, started)

    assert await world.claimed_ids(session) == [started]
    assert world.beat(session) == frozenset()


async def test_pass_that_parks_while_it_is_paused_stays_paused(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    assert await world.look(started) is None
    await world.pause(started)
    await world.end(session, started, Waiting(None, "waits", 0))
    await world.send()

    assert (await world.see(started)).status is Status.PENDING
    assert await world.claimed_ids(session) == []
    await world.resume(started)
    assert await world.claimed_ids(session) == [started]


@pytest.mark.parametrize("way", ["leave", "die"])
async def test_execution_whose_worker_is_gone_stays_paused(world: World, way: str) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)
    if way == "leave":
        await world.store.close_session(session)
    else:
        assert world.crash().freed == 1

    heir = await world.worker("heir:1")
    assert await world.claimed_ids(heir) == []
    await world.resume(started)
    assert await world.claimed_ids(heir) == [started]
    assert world.beat(heir) == frozenset()


async def test_execution_that_is_paused_again_tells_its_new_worker(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    for _ in range(2):
        await world.pause(started)
        assert world.beat(session) == frozenset({started})
        await hand_back(world, session, started)
        await world.resume(started)
        assert await world.claimed_ids(session) == [started]
        assert world.beat(session) == frozenset()


@pytest.mark.parametrize("outcome", [FAILED, STOPPED])
async def test_execution_that_ended_all_the_same_is_not_paused_when_it_is_retried(
    world: World, outcome: Outcome
) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)
    await world.end(session, started, outcome)

    await world.store.reopen(started)

    assert await world.claimed_ids(session) == [started]
    assert world.beat(session) == frozenset()


async def test_execution_that_crashed_its_last_worker_is_not_paused_when_it_is_retried(world: World) -> None:
    started = await world.running(await world.worker())
    await world.pause(started)
    world.advance(2 * LEASE)
    assert world.reap(max_crashes=1).failed == (started,)

    await world.store.reopen(started)

    assert await world.claimed_ids(await world.worker()) == [started]


async def test_retry_leaves_a_paused_execution_paused(world: World) -> None:
    started = await idle(world, "asleep")
    await world.pause(started)

    assert await world.store.reopen(started) == (Status.PENDING, True)

    session = await world.worker()
    assert await world.claimed_ids(session) == []
    await world.resume(started)
    assert await world.claimed_ids(session) == [started]


# --- pause and cancel ------------------------------------------------------------------------------------------------


async def test_cancelled_execution_is_paused_no_more_and_cleans_up(world: World) -> None:
    started = await idle(world, "asleep")
    await world.pause(started)

    assert await world.store.cancel(started, reason="sold out") == (Status.PENDING, True)

    assert await world.pause(started) == (Status.PENDING, False)
    assert await world.resume(started) == (Status.PENDING, False)
    assert (await world.claim_one(await world.worker())).cancel_reason == "sold out"


async def test_paused_execution_that_has_not_begun_ends_when_it_is_cancelled(world: World) -> None:
    started = await world.start()
    await world.pause(started)

    assert await world.store.cancel(started, reason="sold out") == (Status.CANCELLED, True)


async def test_cancel_of_a_running_execution_that_is_being_paused_is_told(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.pause(started)
    await world.store.cancel(started, reason="sold out")

    assert world.beat(session) == frozenset({started})
    order = (await world.store.orders([started]))[started]
    assert (order.cancel_reason, order.is_paused) == ("sold out", False)
    assert order.cancel_requested_at is not None
    await hand_back(world, session, started)
    assert (await world.claim_one(session)).cancel_reason == "sold out"


async def test_end_of_a_parent_lets_a_paused_child_clean_up(world: World) -> None:
    session = await world.worker()
    parent, called = await world.family(session)
    await world.suspend(session, called)
    await world.pause(called)

    await world.end(session, parent, DONE)

    claimed = await world.claim_one(session)
    assert (claimed.id, claimed.cancel_reason) == (called, "its parent has ended")


# --- who did what ----------------------------------------------------------------------------------------------------


async def test_what_was_done_is_noted_and_what_was_refused_is_not(world: World) -> None:
    started = await world.start()
    await world.resume(started, by="nobody")
    await world.pause(started, by="ann")
    await world.resume(started, by="bob")
    await world.store.reopen(started, by="nobody")
    await world.store.cancel(started, reason="sold out", by="cy")
    await world.store.cancel(started, reason="sold out", by="nobody")
    await world.pause(started, by="nobody")
    await world.store.reopen(started, by="dan")
    await world.store.cancel(started, reason="sold out", force=True, by="eve")
    await world.store.reopen(started)  # by the engine itself
    await world.store.cancel(unknown(), reason="sold out", by="nobody")

    assert await world.audited(started) == [
        ("ann", "pause"),
        ("bob", "resume"),
        ("cy", "cancel"),
        ("dan", "retry"),
        ("eve", "force-cancel"),
    ]
    assert await world.audited() == await world.audited(started)


async def test_record_says_when_and_why(world: World) -> None:
    started = await world.start()
    await world.pause(started)

    (record,) = await world.store.audits(started, before=None, limit=10)

    assert (record.execution_id, record.detail) == (started, "wrong prices")
    assert abs(record.done_at - world.store.now()) < timedelta(seconds=30)


async def test_records_are_read_in_pages_newest_first(world: World) -> None:
    ids = [await world.start() for _ in range(2)]
    for n in range(6):
        await world.pause(ids[n % 2], by=f"p{n}")
        await world.resume(ids[n % 2], by=f"r{n}")

    for which, expected in ((None, 12), (ids[0], 6)):
        seen: list[AuditRecord] = []
        before = None
        while page := await world.store.audits(which, before=before, limit=5):
            seen += page
            before = page[-1].number
        numbers = [record.number for record in seen]
        assert len(numbers) == len(set(numbers)) == expected
        assert numbers == sorted(numbers, reverse=True)
    assert await world.store.audits(unknown(), before=None, limit=5) == []


async def test_records_go_with_their_execution(world: World) -> None:
    """F90: they do not pile up."""
    old = await world.ended(FAILED)
    await world.store.fork(NewFork(old, ExecutionId(new_id())), by="ann")
    young = await world.start()
    await world.pause(young)
    world.advance(2 * HOUR)

    await world.store.remove({"order": HOUR})
    while await world.store.sweep():
        continue

    assert await world.audited() == [("ann", "pause")]
