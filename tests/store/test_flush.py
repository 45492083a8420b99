"""Storing what one process has produced."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg.errors import UniqueViolation

from stepwell.core.model import (
    CancelledOutcome,
    Completed,
    Ending,
    Failed,
    FailedAttempt,
    Flushed,
    Outcome,
    SessionId,
    Suspended,
    Tried,
)
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.store.world import DONE, FAILED, HOUR, LEASE, MINUTE, STOPPED, World, checkpoint, executions, unknown

NOTHING_AMISS = Flushed(frozenset(), frozenset())


async def test_completed_execution_keeps_its_result(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)

    flushed = await world.flush(session, endings=[Ending(started, Completed(b'{"total":3}'))])

    assert flushed == NOTHING_AMISS
    seen = await world.see(started)
    assert (seen.status, seen.result, seen.error, seen.why) == (Status.COMPLETED, b'{"total":3}', None, None)
    assert seen.finished_at is not None
    assert seen.started_at is not None
    assert seen.finished_at >= seen.started_at


async def test_failed_execution_keeps_its_error_and_says_why(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)

    await world.end(session, started, Failed(b'{"type":"X"}', "X: no", ("fetch",)))

    seen = await world.see(started)
    assert (seen.status, seen.result, seen.error, seen.why) == (Status.FAILED, None, b'{"type":"X"}', "X: no")
    assert seen.finished_at is not None


async def test_suspended_execution_waits_for_its_time(world: World) -> None:
    session = await world.worker(lease_for=3 * HOUR)
    started = await world.running(session)
    due_at = world.store.now() + HOUR

    await world.end(session, started, Suspended(due_at, "sleeping"))

    seen = await world.see(started)
    assert (seen.status, seen.due_at, seen.finished_at) == (Status.PENDING, due_at, None)
    assert seen.why == f"sleeping until {due_at:%Y-%m-%d %H:%M:%S} UTC"
    assert await world.claimed_ids(session) == []
    world.advance(HOUR)
    assert await world.claimed_ids(session) == [started]


async def test_execution_may_sleep_for_a_thousand_years(world: World) -> None:
    """F55, F78."""
    session = await world.worker()
    started = await world.running(session)
    due_at = world.store.now() + timedelta(days=365_000)

    await world.end(session, started, Suspended(due_at, "sleeping"))

    assert (await world.see(started)).due_at == due_at
    assert (await world.claim(session)).next_due_at == due_at


async def test_stopped_pass_ends_as_cancelled(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)

    await world.end(session, started, CancelledOutcome("took longer than 1 h"))

    seen = await world.see(started)
    assert (seen.status, seen.why) == (Status.CANCELLED, "took longer than 1 h")


async def test_one_flush_carries_many_executions(world: World) -> None:
    new = executions(50)
    await world.store.create(new)
    session = await world.worker()
    ids = await world.claimed_ids(session)

    flushed = await world.flush(
        session,
        checkpoints=[checkpoint(id, f"step-{number}") for id in ids for number in range(3)],
        endings=[Ending(id, DONE) for id in ids[:25]],
    )

    assert flushed == NOTHING_AMISS
    assert (await world.store.count())[Status.COMPLETED] == 25
    assert [len(await world.keys(one.id)) for one in new] == [3] * 50


async def test_empty_flush_is_answered(world: World) -> None:
    session = await world.worker()

    assert await world.flush(session) == NOTHING_AMISS


async def test_failed_attempts_add_up(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    retry_at = world.store.now() + MINUTE

    await world.flush(session, attempts=[FailedAttempt(started, "call", 1, retry_at, b"e1")])
    await world.flush(session, attempts=[FailedAttempt(started, "call", 2, retry_at + MINUTE, b"e2")])

    await world.suspend(session, started, 0 * HOUR)
    assert (await world.claim_one(session)).retries == {"call": Tried(2, retry_at + MINUTE)}


async def test_session_that_has_ended_stores_nothing(world: World) -> None:
    """F1: also when nobody has taken over yet."""
    session = await world.worker()
    started = await world.running(session)
    world.crash()

    with pytest.raises(LeaseLost):
        await world.flush(session, checkpoints=[checkpoint(started)], endings=[Ending(started, DONE)])

    assert await world.keys(started) == []
    assert (await world.see(started)).status is Status.PENDING


async def test_unknown_session_stores_nothing(world: World) -> None:
    with pytest.raises(LeaseLost):
        await world.flush(SessionId(unknown()))


async def test_expired_session_may_write_until_somebody_ends_it(world: World) -> None:
    """Ending the session is what takes the executions away, not the passing of time."""
    session = await world.worker()
    started = await world.running(session)
    world.advance(LEASE + MINUTE)

    await world.end(session, started)

    assert (await world.see(started)).status is Status.COMPLETED


async def test_nothing_is_stored_of_an_execution_that_another_session_owns(world: World) -> None:
    """F1: the others of the same batch are stored."""
    stale, mine = await world.worker(), await world.worker()
    lost = await world.running(stale)
    await world.suspend(stale, lost, 0 * HOUR)
    assert (await world.claim_one(mine)).id == lost
    kept = await world.running(stale)
    retry_at = world.store.now()

    flushed = await world.flush(
        stale,
        checkpoints=[checkpoint(lost), checkpoint(kept)],
        attempts=[FailedAttempt(lost, "call", 1, retry_at, b"e"), FailedAttempt(kept, "call", 1, retry_at, b"e")],
        endings=[Ending(lost, DONE), Ending(kept, DONE)],
    )

    assert flushed.refused == {lost}
    assert await world.keys(lost) == []
    assert (await world.see(lost)).status is Status.RUNNING
    assert await world.keys(kept) == ["call", "fetch"]
    assert (await world.see(kept)).status is Status.COMPLETED


async def test_nothing_is_stored_of_executions_that_nobody_owns(world: World) -> None:
    session = await world.worker()
    ended, pending, missing = await world.ended(), await world.start(), unknown()

    flushed = await world.flush(session, checkpoints=[checkpoint(id) for id in (ended, pending, missing)])

    assert flushed.refused == {ended, pending, missing}
    assert [await world.keys(id) for id in (ended, pending, missing)] == [[], [], []]


@pytest.mark.parametrize("owner", ["another", "nobody"])
async def test_lone_checkpoint_is_refused_too_when_its_execution_is_no_longer_owned(world: World, owner: str) -> None:
    """F1: one row goes another way than many."""
    session, heir = await world.worker(), await world.worker()
    lost = await world.running(session)
    await world.suspend(session, lost, 0 * HOUR)
    if owner == "another":
        await world.claim_one(heir)

    flushed = await world.flush(session, checkpoints=[checkpoint(lost)])

    assert flushed == Flushed(frozenset({lost}), frozenset())
    assert await world.keys(lost) == []


async def test_lone_checkpoint_of_an_ended_session_is_not_stored(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    world.crash()

    with pytest.raises(LeaseLost):
        await world.flush(session, checkpoints=[checkpoint(started)])

    assert await world.keys(started) == []


async def test_lone_checkpoint_is_never_replaced(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.flush(session, checkpoints=[checkpoint(started, "fetch", b"1")])

    with pytest.raises(UniqueViolation):
        await world.flush(session, checkpoints=[checkpoint(started, "fetch", b"2")])

    (record,) = await world.store.steps(started, after=None, limit=10)
    assert record.value == b"1"


async def test_stored_checkpoint_is_never_replaced(world: World) -> None:
    """A batch that tries is refused as a whole."""
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    await world.flush(session, checkpoints=[checkpoint(started, "fetch", b"1")])

    with pytest.raises(UniqueViolation):
        await world.flush(
            session,
            checkpoints=[checkpoint(other), checkpoint(started, "fetch", b"2")],
            endings=[Ending(other, DONE)],
        )

    (record,) = await world.store.steps(started, after=None, limit=10)
    assert record.value == b"1"
    assert await world.keys(other) == []
    assert (await world.see(other)).status is Status.RUNNING


async def test_attempt_is_counted_once(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    attempt = FailedAttempt(started, "call", 1, world.store.now(), b"e")
    await world.flush(session, attempts=[attempt])

    with pytest.raises(UniqueViolation):
        await world.flush(session, attempts=[attempt])

    assert await world.keys(started) == ["call"]


async def test_flush_tells_which_executions_are_to_be_cancelled(world: World) -> None:
    session, other = await world.worker(), await world.worker()
    mine, untouched = await world.running(session), await world.running(session)
    theirs = await world.running(other)
    for id in (mine, theirs):
        await world.store.cancel(id, reason="no longer needed")

    flushed = await world.flush(session, checkpoints=[checkpoint(untouched)])

    assert flushed == Flushed(frozenset(), frozenset({mine}))


async def test_execution_that_ended_with_this_flush_is_no_longer_to_be_cancelled(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="no longer needed")

    flushed = await world.flush(session, endings=[Ending(started, STOPPED)])

    assert flushed == NOTHING_AMISS


@pytest.mark.parametrize("outcome", [DONE, FAILED, STOPPED])
async def test_accepted_cancel_wins_over_any_end(world: World, outcome: Outcome) -> None:
    """F51: what the caller was told is what the status shows for ever."""
    session = await world.worker()
    started = await world.running(session)
    told = await world.store.cancel(started, reason="no longer needed")

    await world.end(session, started, outcome)

    assert told == (Status.RUNNING, True)
    seen = await world.see(started)
    assert (seen.status, seen.why, seen.due_at) == (Status.CANCELLED, "no longer needed", None)
    assert (seen.result, seen.error) == (None, None)
    assert seen.finished_at is not None


async def test_cancelled_execution_keeps_the_checkpoints_it_still_made(world: World) -> None:
    """Its steps did run; who looks must see that."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="no longer needed")

    await world.flush(session, checkpoints=[checkpoint(started)], endings=[Ending(started, DONE)])

    assert await world.keys(started) == ["fetch"]
