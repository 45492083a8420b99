"""Leasing due executions, with their history."""

from __future__ import annotations

import pytest

from stepwell.core.model import Checkpoint, ClaimRequest, ExecutionId, FailedAttempt, Kind, SessionId, Tried
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.store.world import DAY, DONE, HOUR, LEASE, MINUTE, World, checkpoint, execution, executions, unknown


async def test_claimed_execution_runs_for_its_session(world: World) -> None:
    new = execution(input=b'{"n":1}')
    await world.store.create([new])
    session = await world.worker("host:7")

    claimed = await world.claim_one(session)

    assert (claimed.id, claimed.workflow, claimed.input) == (new.id, "order", b'{"n":1}')
    assert (claimed.passes, claimed.crashes, claimed.checkpoints, claimed.retries) == (1, 0, {}, {})
    seen = await world.see(new.id)
    assert (seen.status, seen.due_at, seen.why) == (Status.RUNNING, None, "running on host:7")
    assert (seen.started_at, seen.created_at) == (claimed.started_at, claimed.created_at)


async def test_two_sessions_never_hold_the_same_execution(world: World) -> None:
    await world.store.create(executions(5))
    one, other = await world.worker(), await world.worker()

    first, second = await world.claimed_ids(one, limit=3), await world.claimed_ids(other, limit=3)

    assert (len(first), len(second)) == (3, 2)
    assert not set(first) & set(second)


async def test_claim_takes_no_more_than_its_limit(world: World) -> None:
    """F20."""
    await world.store.create([*executions(4), *executions(4, queue="crm")])
    session = await world.worker(queues=("default", "crm"))

    claim = await world.claim(session, limit=3, queues=("default", "crm"))

    assert len(claim.executions) == 3


async def test_earliest_due_is_claimed_first(world: World) -> None:
    late = await world.start(delay_seconds=60)
    early = await world.start(delay_seconds=30)
    session = await world.worker()
    world.advance(2 * MINUTE)

    assert await world.claimed_ids(session, limit=1) == [early]
    assert await world.claimed_ids(session, limit=1) == [late]


async def test_queues_are_served_in_the_order_asked_for(world: World) -> None:
    slow = await world.start(queue="slow")
    fast = await world.start(queue="fast")
    session = await world.worker(queues=("fast", "slow"))

    claims = [await world.claim(session, limit=1, queues=("fast", "slow")) for _ in range(2)]

    assert [claim.executions[0].id for claim in claims] == [fast, slow]


async def test_worker_is_given_only_workflows_and_queues_it_asks_for(world: World) -> None:
    """F65: what no worker has stays as it is."""
    others = [await world.start(workflow="invoice"), await world.start(queue="crm"), await world.start(workflow="*")]
    session = await world.worker(workflows=("order", "*x"))

    assert await world.claimed_ids(session) == []
    assert [(await world.see(other)).status for other in others] == [Status.PENDING] * 3


async def test_claim_says_when_the_next_execution_is_due(world: World) -> None:
    await world.start(delay_seconds=7_200)
    await world.start(delay_seconds=60, workflow="invoice")
    soonest = await world.start(delay_seconds=3_600)
    session = await world.worker()

    claim = await world.claim(session)

    assert claim.executions == []
    assert claim.next_due_at == (await world.see(soonest)).due_at
    assert claim.reached is None


async def test_full_claim_says_nothing_of_what_comes_next(world: World) -> None:
    await world.store.create([*executions(2), execution(delay_seconds=60)])
    session = await world.worker()

    claim = await world.claim(session, limit=2)

    assert claim.next_due_at is None


async def test_claim_tells_the_stores_time_and_how_far_it_reached(world: World) -> None:
    await world.start()
    last = await world.see(await world.start(delay_seconds=60))
    session = await world.worker()
    world.advance(HOUR)
    session = await world.worker()
    last = await world.see(last.id)

    claim = await world.claim(session)

    assert claim.reached == last.due_at
    assert last.due_at is not None
    assert last.due_at < claim.now <= world.store.now()


async def test_claim_can_skip_what_has_long_been_due(world: World) -> None:
    old = await world.start()
    world.advance(HOUR)
    new = await world.start()
    session = await world.worker()

    def since(minutes: int) -> ClaimRequest:
        return ClaimRequest(("default",), ("order",), 10, not_before=world.store.now() - minutes * MINUTE)

    assert [row.id for row in (await world.store.claim(session, since(1))).executions] == [new]
    assert [row.id for row in (await world.store.claim(session, since(90))).executions] == [old]


async def test_expired_session_claims_nothing_even_before_it_is_ended(world: World) -> None:
    await world.start()
    session = await world.worker()
    world.advance(LEASE + MINUTE)

    with pytest.raises(LeaseLost):
        await world.claim(session)


async def test_ended_and_unknown_sessions_claim_nothing(world: World) -> None:
    started = await world.start()
    session = await world.worker()
    await world.store.close_session(session)

    for dead in (session, SessionId(unknown())):
        with pytest.raises(LeaseLost):
            await world.claim(dead)
    assert (await world.see(started)).passes == 0


async def test_next_pass_gets_the_whole_history(world: World) -> None:
    session = await world.worker()
    started, other = await world.running(session), await world.running(session)
    retry_at = world.store.now() + HOUR
    await world.flush(
        session,
        checkpoints=[
            checkpoint(started, "fetch", b"1", digest=-5),
            checkpoint(started, "nap", b"2", kind=Kind.SLEEP),
            checkpoint(started, "send", b"3", is_failure=True),
            checkpoint(started, "enrich/#0", b"4", kind=Kind.ITEM),
            checkpoint(other, "theirs"),
        ],
        attempts=[
            FailedAttempt(started, "call", 1, retry_at - MINUTE, b"e1"),
            FailedAttempt(started, "call", 2, retry_at, b"e2"),
        ],
    )
    await world.suspend(session, started, 0 * HOUR)

    claimed = await world.claim_one(session)

    assert (claimed.id, claimed.passes) == (started, 2)
    assert claimed.checkpoints == {
        "fetch": Checkpoint("step", -5, False, b"1"),
        "nap": Checkpoint("sleep", 7, False, b"2"),
        "send": Checkpoint("step", 7, True, b"3"),
    }
    assert claimed.retries == {"call": Tried(2, retry_at)}


async def test_first_pass_began_once(world: World) -> None:
    session = await world.worker(lease_for=DAY)
    started = await world.running(session)
    began = (await world.see(started)).started_at
    await world.suspend(session, started, 0 * HOUR)

    claimed = await world.claim_one(session)

    assert claimed.started_at == began


async def _suspects(world: World, count: int) -> set[ExecutionId]:
    """Executions that two workers in a row have died of."""
    new = executions(count)
    await world.store.create(new)
    for _ in range(2):
        session = await world.worker()
        while (await world.claim(session)).executions:
            pass
        world.crash()
    assert {(await world.see(one.id)).crashes for one in new} == {2}
    return {one.id for one in new}


async def test_executions_that_crashed_workers_are_claimed_one_at_a_time(world: World) -> None:
    """F64: the next crash blames nobody else."""
    suspects = await _suspects(world, 2)
    innocent = await world.start()
    session = await world.worker()

    first, second = await world.claim(session), await world.claim(session)

    taken = [{row.id for row in claim.executions} for claim in (first, second)]
    assert [len(ids & suspects) for ids in taken] == [1, 1]
    assert taken[0] | taken[1] == suspects | {innocent}
    assert {row.crashes for row in first.executions if row.id in suspects} == {2}


async def test_worker_that_runs_a_suspect_takes_no_other(world: World) -> None:
    await _suspects(world, 1)
    innocent = await world.start()
    session = await world.worker()

    claim = await world.claim(session, with_suspect=False)

    assert [row.id for row in claim.executions] == [innocent]


async def test_suspect_counts_against_the_limit(world: World) -> None:
    """F20."""
    suspects = await _suspects(world, 1)
    await world.store.create(executions(2))
    session = await world.worker()

    claim = await world.claim(session, limit=2)

    assert len(claim.executions) == 2
    assert suspects < {row.id for row in claim.executions}


async def test_suspect_that_gets_through_is_one_no_longer(world: World) -> None:
    (suspect,) = await _suspects(world, 1)
    session = await world.worker()
    await world.claim_one(session)
    await world.suspend(session, suspect, 0 * HOUR)

    claimed = await world.claim_one(session)

    assert (claimed.id, claimed.crashes) == (suspect, 0)


async def test_ended_execution_is_never_claimed_again(world: World) -> None:
    await world.ended(DONE)
    session = await world.worker()
    world.advance(MINUTE)

    assert await world.claimed_ids(session) == []
