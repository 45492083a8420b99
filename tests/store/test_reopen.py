"""Making an execution move again by hand."""

from __future__ import annotations

import pytest

from stepwell.core.model import Ending, Failed, FailedAttempt, Tried
from stepwell.core.status import Status
from tests.store.world import DAY, DONE, FAILED, HOUR, MINUTE, STOPPED, World, checkpoint, unknown


async def test_failed_execution_is_due_at_once(world: World) -> None:
    failed = await world.ended(FAILED)
    session = await world.worker()

    answer = await world.store.reopen(failed)

    assert answer == (Status.PENDING, True)
    seen = await world.see(failed)
    assert (seen.status, seen.error, seen.finished_at, seen.crashes) == (Status.PENDING, None, None, 0)
    assert seen.why == "retried by hand; ready, waits for a free worker"
    assert await world.claimed_ids(session) == [failed]


async def test_completed_steps_stay_and_the_failed_ones_run_again(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.flush(
        session,
        checkpoints=[
            checkpoint(started, "fetch", b"1"),
            checkpoint(started, "caught", b"2", is_failure=True),
            checkpoint(started, "send", b"3", is_failure=True),
        ],
        attempts=[FailedAttempt(started, key, 1, world.store.now(), b"e") for key in ("caught", "send")],
        endings=[Ending(started, Failed(b"e", "send failed", ("send",)))],
    )

    await world.store.reopen(started)

    claimed = await world.claim_one(session)
    assert set(claimed.checkpoints) == {"fetch", "caught"}
    assert set(claimed.retries) == {"caught"}


async def test_failed_step_that_is_named_but_completed_stays(world: World) -> None:
    """Only stored failures are forgotten: a completed step never runs again."""
    session = await world.worker()
    started = await world.running(session)
    failed = Failed(b"e", "send failed", ("fetch", "send"))
    await world.flush(session, checkpoints=[checkpoint(started, "fetch")], endings=[Ending(started, failed)])

    await world.store.reopen(started)

    assert set((await world.claim_one(session)).checkpoints) == {"fetch"}


async def test_other_executions_keep_what_they_have(world: World) -> None:
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    rows = [checkpoint(id, "send", is_failure=True) for id in (started, other)]
    tries = [FailedAttempt(id, "send", 1, world.store.now() + HOUR, b"e") for id in (started, other)]
    ending = Ending(started, Failed(b"e", "send failed", ("send",)))
    await world.flush(session, checkpoints=rows, attempts=tries, endings=[ending])

    await world.store.reopen(started)

    assert await world.keys(started) == []
    assert await world.keys(other) == ["send", "send"]


async def test_wait_for_a_retry_ends(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    later = world.store.now() + DAY
    await world.flush(session, attempts=[FailedAttempt(started, "call", 1, later, b"e")])
    await world.suspend(session, started, DAY)

    answer = await world.store.reopen(started)

    assert answer == (Status.PENDING, True)
    (_, tried), *_ = (await world.claim_one(session)).retries.items()
    assert tried.attempts == 1
    assert tried.retry_at <= world.store.now() + MINUTE


async def test_retry_that_was_due_earlier_stays_as_it_is(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    earlier = world.store.now() - MINUTE
    await world.flush(session, attempts=[FailedAttempt(started, "call", 1, earlier, b"e")])
    await world.suspend(session, started, DAY)

    await world.store.reopen(started)

    assert (await world.claim_one(session)).retries == {"call": Tried(1, earlier)}


async def test_cancelled_execution_goes_on_and_is_cancelled_no_longer(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="by mistake")
    await world.end(session, started, STOPPED)

    await world.store.reopen(started)

    assert (await world.claim_one(session)).id == started
    assert world.beat(session) == frozenset()
    await world.end(session, started, DONE)
    assert (await world.see(started)).status is Status.COMPLETED


async def test_execution_cancelled_before_it_ran_goes_on(world: World) -> None:
    started = await world.start(delay_seconds=60)
    await world.store.cancel(started, reason="by mistake")

    assert await world.store.reopen(started) == (Status.PENDING, True)

    assert await world.claimed_ids(await world.worker()) == [started]


async def test_execution_that_crashed_too_many_workers_starts_with_a_clean_record(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    world.advance(HOUR)
    assert world.reap(max_crashes=1).failed == (started,)

    await world.store.reopen(started)

    claimed = await world.claim_one(await world.worker())
    assert (claimed.id, claimed.crashes) == (started, 0)


async def test_execution_that_never_ran_keeps_its_delay(world: World) -> None:
    started = await world.start(delay_seconds=60)
    before = await world.see(started)

    assert await world.store.reopen(started) == (Status.PENDING, False)

    assert await world.see(started) == before


@pytest.mark.parametrize("is_completed", [True, False])
async def test_completed_and_running_executions_are_left_alone(world: World, is_completed: bool) -> None:
    session = await world.worker()
    started = await world.running(session)
    if is_completed:
        await world.end(session, started, DONE)
    before = await world.see(started)

    assert await world.store.reopen(started) == (before.status, False)

    assert await world.see(started) == before


async def test_unknown_execution_is_said_to_be_unknown(world: World) -> None:
    assert await world.store.reopen(unknown()) is None
