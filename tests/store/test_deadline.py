"""Deadlines: accepted with an execution, told to whoever runs it, never moved."""

from __future__ import annotations

from datetime import datetime

import psycopg
import pytest

from stepwell.core.model import Claimed
from stepwell.core.status import Status
from stepwell.store.foreign import create_on_sync
from tests.store.world import DAY, FAILED, HOUR, MINUTE, World, execution, executions


@pytest.mark.parametrize("count", [1, 2])
async def test_deadline_counts_from_the_stores_clock_when_it_is_a_duration(world: World, count: int) -> None:
    new = executions(count, deadline=HOUR)

    await world.store.create(new)

    for one in new:
        seen = await world.see(one.id)
        assert seen.deadline_at == seen.created_at + HOUR
        assert seen.due_at == seen.created_at


@pytest.mark.parametrize("count", [1, 2])
async def test_deadline_is_the_given_time(world: World, count: int) -> None:
    at = _whole(world.store.now() + DAY)
    new = executions(count, deadline=at)

    await world.store.create(new)

    assert [(await world.see(one.id)).deadline_at for one in new] == [at] * count


@pytest.mark.parametrize("count", [1, 2])
async def test_execution_delayed_beyond_its_deadline_is_due_at_its_deadline(world: World, count: int) -> None:
    new = executions(count, deadline=HOUR, delay_seconds=DAY.total_seconds())

    await world.store.create(new)

    for one in new:
        seen = await world.see(one.id)
        assert seen.due_at == seen.deadline_at == seen.created_at + HOUR


async def test_recovered_execution_keeps_its_deadline(world: World) -> None:
    """F89."""
    session = await world.worker()
    execution_id = await world.start(deadline=DAY)
    before = await world.claim_one(session)

    world.crash()
    after = await world.claim_one(await world.worker("host:2"))

    assert (before.id, after.id) == (execution_id, execution_id)
    assert _left(before) == _left(after) == DAY


async def test_retry_by_hand_keeps_a_deadline_to_come_and_drops_one_that_has_passed(world: World) -> None:
    to_come, passed = await world.ended(FAILED, deadline=DAY), await world.ended(FAILED, deadline=MINUTE)
    world.advance(HOUR)

    for one in (to_come, passed):
        assert await world.store.reopen(one) == (Status.PENDING, True)

    seen = await world.see(to_come)
    assert seen.deadline_at == seen.created_at + DAY
    assert (await world.see(passed)).deadline_at is None


def test_deadline_holds_for_a_start_in_the_callers_transaction(database_url: str) -> None:
    new = execution(deadline=HOUR)

    with psycopg.connect(database_url) as connection:
        create_on_sync(connection, [new], schema="stepwell")
        found = connection.execute(
            "select deadline_at - created_at from stepwell.execution where id = %s", [new.id]
        ).fetchone()

    assert found == (HOUR,)


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _left(claimed: Claimed) -> object:
    assert claimed.deadline_at is not None
    return claimed.deadline_at - claimed.created_at
