"""Pausing, resuming, cancelling and retrying while something else happens to the execution, in forced orders."""

from __future__ import annotations

import psycopg
import pytest

from stepwell.core.model import Batch, Ending, ExecutionId, Failed, Outcome, SessionId, Suspended, Waiting
from stepwell.core.status import Status
from tests.store import racing
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import FAILED, HOUR, STOPPED, PostgresWorld, unknown

PARKED = Waiting(None, "waits", 0)


def _end(session: SessionId, execution_id: ExecutionId, outcome: Outcome) -> Call:
    return racing.flush(session, Batch(endings=[Ending(execution_id, outcome)]))


def _handed_back(postgres: PostgresWorld) -> Outcome:
    return Suspended(postgres.store.now(), "handed back")


def _then(first: Racer, call: Call, second: Racer, waiting: Call) -> list[racing.Row]:
    """The first call is made, and committed while the second waits for it; what that one answers."""
    with first.transaction():
        first.run(call)
        answer = second.start_and_block(waiting)
    return answer_of(answer)


# --- pause and claim -----------------------------------------------------------------------------------------------


async def test_pause_that_waits_for_a_claim_is_told_to_the_worker(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    started, session = await postgres.start(), await postgres.worker()

    answer = _then(one, racing.claim(session, limit=1), other, racing.pause(started))

    assert answer == [(Status.RUNNING,)]
    assert postgres.beat(session) == frozenset({started})


async def test_claim_takes_nothing_that_is_being_paused_just_then(postgres: PostgresWorld, one: Racer) -> None:
    started, session = await postgres.start(), await postgres.worker()

    with one.transaction():
        one.run(racing.pause(started))
        assert await postgres.claimed_ids(session) == []

    assert await postgres.claimed_ids(session) == []
    assert (await postgres.see(started)).why == "paused by ann"


# --- pause and the end of a pass -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_pause_first", [True, False])
async def test_pass_that_parks_while_it_is_paused_is_paused_and_nobody_is_told_later(
    postgres: PostgresWorld, one: Racer, other: Racer, is_pause_first: bool
) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    calls = [racing.pause(started), _end(session, started, PARKED)]

    _then(one, calls[not is_pause_first], other, calls[is_pause_first])

    assert (await postgres.see(started)).why == "paused by ann; waits"
    await postgres.resume(started)
    assert (await postgres.see(started)).why == "waits"
    assert one.execute("select is_told from stepwell.execution") == [(False,)]


@pytest.mark.parametrize("is_resume_first", [True, False])
async def test_resume_and_hand_back_leave_the_execution_due(
    postgres: PostgresWorld, one: Racer, other: Racer, is_resume_first: bool
) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.pause(started)
    calls = [racing.resume(started), _end(session, started, _handed_back(postgres))]

    _then(one, calls[not is_resume_first], other, calls[is_resume_first])

    assert await postgres.claimed_ids(session) == [started]
    assert postgres.beat(session) == frozenset()


async def test_pause_that_waits_for_the_end_is_refused(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)

    answer = _then(one, racing.complete_one(session, started, b"1"), other, racing.pause(started))

    assert answer == []
    assert await postgres.audited(started) == []


@pytest.mark.parametrize("is_lone", [True, False])
async def test_end_that_waits_for_a_pause_ends_it(
    postgres: PostgresWorld, one: Racer, other: Racer, is_lone: bool
) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    end = racing.complete_one(session, started, b"1") if is_lone else _end(session, started, FAILED)

    _then(one, racing.pause(started), other, end)

    assert (await postgres.see(started)).status is (Status.COMPLETED if is_lone else Status.FAILED)
    assert one.execute("select paused_at, paused_by from stepwell.execution") == [(None, None)]


# --- pause and cancel ----------------------------------------------------------------------------------------------


async def test_pause_that_waits_for_a_cancel_is_refused(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)

    assert _then(one, racing.cancel(started), other, racing.pause(started)) == []

    assert (await postgres.store.orders([started]))[started].is_paused is False


async def test_cancel_that_waits_for_a_pause_ends_it(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)

    _then(one, racing.pause(started), other, racing.cancel(started))

    order = (await postgres.store.orders([started]))[started]
    assert (order.is_paused, order.cancel_reason) == (False, "no longer needed")


async def test_resume_that_waits_for_a_cancel_leaves_it_told(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.pause(started)

    assert _then(one, racing.cancel(started), other, racing.resume(started)) == []

    assert postgres.beat(session) == frozenset({started})


# --- retrying a family ---------------------------------------------------------------------------------------------


async def _failed_family(postgres: PostgresWorld) -> tuple[SessionId, ExecutionId, ExecutionId]:
    session = await postgres.worker()
    parent, called = await postgres.family(session)
    await postgres.end(session, called, FAILED)
    await postgres.end(session, parent, Failed(b"e", "ChildFailed: no", ("bill",)))
    return session, parent, called


_GUARD = b" where exists (select from held where id = $1::uuid)"
_GONE_ON = "update stepwell.execution set status = 'running', owner = %s, finished_at = null where id = %s"


async def _retry_of_what_goes_on(postgres: PostgresWorld, one: Racer, other: Racer, retry: Call) -> Status:
    """The parent has been retried by itself, and runs, when the retry gets its lock; what becomes of the child."""
    session, parent, called = await _failed_family(postgres)
    retry.parameters[0] = racing.reopen(parent).parameters[0]
    with one.transaction():
        one.execute(_GONE_ON, session, parent)
        answer = other.start_and_block(retry)
    assert answer_of(answer) == []
    return (await postgres.see(called)).status


async def test_retry_of_what_has_gone_on_meanwhile_leaves_its_children(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    retry = racing.reopen(unknown())

    assert await _retry_of_what_goes_on(postgres, one, other, retry) is Status.FAILED


async def test_without_the_guard_its_children_would_run_again(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The negative control."""
    careless = racing.reopen(unknown()).without(_GUARD)

    assert await _retry_of_what_goes_on(postgres, one, other, careless) is Status.PENDING


async def test_two_retries_of_a_family_do_it_once(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session, parent, called = await _failed_family(postgres)

    _then(one, racing.reopen(parent), other, racing.reopen(parent))

    assert set(await postgres.claimed_ids(session)) == {parent, called}


async def test_child_that_ends_while_its_parent_is_retried_has_ended(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    session = await postgres.worker()
    parent, called = await postgres.family(session)
    await postgres.end(session, parent, STOPPED)

    answer = _then(one, _end(session, called, STOPPED), other, racing.reopen(parent))

    assert answer == [(Status.PENDING,)]
    assert (await postgres.see(called)).status is Status.CANCELLED


_ORDER = b"order by uuid_send(e.id) for update"


async def _retry_meets_cancel(postgres: PostgresWorld, racers: list[Racer], retry: bytes) -> None:
    """Each has a lock that the other wants, unless both take them in one order."""
    _, parent, called = await _failed_family(postgres)
    holder, retrying, cancelling = racers
    with holder.transaction():
        holder.execute("select from stepwell.execution where id = %s for update", max(parent, called))
        answers = [
            retrying.start_and_block(racing.reopen(parent).with_(retry, instead_of=_ORDER)),
            cancelling.start_and_block(racing.cancel(called)),
        ]
    for answer in answers:
        answer_of(answer)


async def test_retry_of_a_family_and_cancel_of_its_child_never_deadlock(
    postgres: PostgresWorld, one: Racer, other: Racer, third: Racer
) -> None:
    """F33"""
    await _retry_meets_cancel(postgres, [one, other, third], _ORDER)


async def test_without_the_order_of_its_locks_a_retry_deadlocks(
    postgres: PostgresWorld, one: Racer, other: Racer, third: Racer
) -> None:
    """The negative control."""
    with pytest.raises(psycopg.errors.DeadlockDetected):
        await _retry_meets_cancel(postgres, [one, other, third], b"order by uuid_send(e.id) desc for update")


# --- fork and retention --------------------------------------------------------------------------------------------


async def test_execution_that_is_being_forked_is_not_removed(postgres: PostgresWorld, one: Racer) -> None:
    old = await postgres.ended(FAILED)
    postgres.advance(2 * HOUR)

    with one.transaction():
        one.run(racing.fork(old))
        await postgres.store.remove({"order": HOUR})

    assert (await postgres.see(old)).status is Status.FAILED
