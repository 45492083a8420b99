"""F29: a session ends with the server that it was opened on, which a standby or a restart replaces.

What follows may lack commits that the worker was told of: the next write would stand behind a hole in a history.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from stepwell.core.model import Batch, Ending, ExecutionId, FailedAttempt, Kind, Reaped, SessionId
from stepwell.core.status import Status
from stepwell.errors import LeaseLost
from tests.store.world import DONE, FAILED, LEASE, MINUTE, PostgresWorld, checkpoint, child

Write = Callable[[ExecutionId, ExecutionId], Batch]

WRITES: dict[str, Write] = {
    "one checkpoint": lambda one, _: Batch([checkpoint(one)]),
    "several checkpoints": lambda one, other: Batch([checkpoint(one), checkpoint(other)]),
    "one end": lambda one, _: Batch(endings=[Ending(one, DONE)]),
    "several ends": lambda one, other: Batch([checkpoint(one)], endings=[Ending(one, DONE), Ending(other, DONE)]),
    "a failed attempt": lambda one, _: Batch([], [FailedAttempt(one, "fetch", 1, datetime.now(UTC), b"{}")]),
    "a child": lambda one, _: Batch(children=[child(one)]),
    "a failure": lambda one, _: Batch(endings=[Ending(one, FAILED)]),
}


async def with_another_server(world: PostgresWorld) -> tuple[SessionId, list[ExecutionId]]:
    """A session that runs two executions, after which the database has got another server."""
    session = await world.worker()
    running = [await world.running(session) for _ in range(2)]
    with psycopg.connect(world.url) as connection:
        connection.execute("update stepwell.worker set server_started_at = server_started_at - interval '1 hour'")
    return session, running


@pytest.mark.parametrize("what", WRITES)
async def test_nothing_is_stored_on_another_server(postgres: PostgresWorld, what: str) -> None:
    session, (one, other) = await with_another_server(postgres)

    with pytest.raises(LeaseLost):
        await postgres.store.flush(session, WRITES[what](one, other))

    for execution_id in (one, other):
        assert await postgres.keys(execution_id) == []
        assert (await postgres.see(execution_id)).status is Status.RUNNING


@pytest.mark.parametrize("is_async", [True, False])
async def test_no_transaction_commits_on_another_server(postgres: PostgresWorld, is_async: bool) -> None:
    session, (one, _) = await with_another_server(postgres)

    async with postgres.store.transaction(session, is_async=is_async) as transaction:
        with pytest.raises(LeaseLost):
            await transaction.commit(checkpoint(one, kind=Kind.TRANSACTION))

    assert await postgres.keys(one) == []


@pytest.mark.parametrize("has_work", [True, False])
async def test_nothing_is_claimed_on_another_server(postgres: PostgresWorld, has_work: bool) -> None:
    session, _ = await with_another_server(postgres)
    waiting = [await postgres.start()] if has_work else []

    with pytest.raises(LeaseLost):
        await postgres.claim(session)

    assert all([(await postgres.see(id)).status is Status.PENDING for id in waiting])


async def test_worker_hears_of_another_server_at_its_next_beat(postgres: PostgresWorld) -> None:
    session, _ = await with_another_server(postgres)

    assert postgres.beat(session) is None


async def test_worker_that_cuts_what_it_ran_is_not_taken_for_dead(postgres: PostgresWorld) -> None:
    """Steps may clean up for longer than what is left of the lease."""
    session, _ = await with_another_server(postgres)

    for _ in range(2):
        postgres.advance(LEASE - MINUTE)
        assert postgres.beat(session) is None

    assert postgres.reap() == Reaped()


async def test_what_it_ran_is_handed_back_and_nobody_has_crashed(postgres: PostgresWorld) -> None:
    session, running = await with_another_server(postgres)

    await postgres.store.close_session(session)

    claimed = (await postgres.claim(await postgres.worker())).executions
    assert {row.id: row.crashes for row in claimed} == dict.fromkeys(running, 0)
