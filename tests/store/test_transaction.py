"""A step's own transaction: its writes and its checkpoint commit as one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from psycopg.errors import UniqueViolation

from stepwell.core.model import ExecutionId, Kind, NewCheckpoint
from stepwell.core.status import Status
from stepwell.errors import DatabaseUnavailable, LeaseLost
from stepwell.store import transaction as transactions
from stepwell.store.base import Transaction
from tests.store.world import DONE, HOUR, PostgresWorld, World, checkpoint

pytestmark = pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])


def stored(execution_id: ExecutionId, value: bytes = b"1") -> NewCheckpoint:
    return checkpoint(execution_id, "store", value, kind=Kind.TRANSACTION, digest=-1)


async def test_checkpoint_is_there_after_the_commit(world: World, is_async: bool) -> None:
    session = await world.worker()
    started = await world.running(session)

    async with world.store.transaction(session, is_async=is_async) as transaction:
        await transaction.commit(stored(started))

    (record,) = await world.store.steps(started, after=None, limit=10)
    assert (record.key, record.kind, record.is_failure, record.value) == ("store", Kind.TRANSACTION, False, b"1")


async def test_transaction_that_is_left_without_commit_stores_nothing(world: World, is_async: bool) -> None:
    session = await world.worker()
    started = await world.running(session)

    async with world.store.transaction(session, is_async=is_async):
        pass

    assert await world.keys(started) == []


async def test_session_that_has_ended_cannot_commit(world: World, is_async: bool) -> None:
    """F1."""
    session = await world.worker()
    started = await world.running(session)

    async with world.store.transaction(session, is_async=is_async) as transaction:
        world.crash()
        with pytest.raises(LeaseLost):
            await transaction.commit(stored(started))

    assert await world.keys(started) == []


async def test_nothing_is_committed_for_an_execution_that_is_no_longer_owned(world: World, is_async: bool) -> None:
    """F1: the session is alive, the execution has gone to another."""
    session = await world.worker()
    started = await world.running(session)
    await world.suspend(session, started, 0 * HOUR)
    assert (await world.claim_one(await world.worker())).id == started

    async with world.store.transaction(session, is_async=is_async) as transaction:
        with pytest.raises(LeaseLost):
            await transaction.commit(stored(started))

    assert await world.keys(started) == []


async def test_nothing_is_committed_for_an_ended_execution(world: World, is_async: bool) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.end(session, started, DONE)

    async with world.store.transaction(session, is_async=is_async) as transaction:
        with pytest.raises(LeaseLost):
            await transaction.commit(stored(started))


async def test_execution_that_is_being_cancelled_may_still_commit(world: World, is_async: bool) -> None:
    """Its pass has not ended yet; what it did is kept."""
    session = await world.worker()
    started = await world.running(session)
    await world.store.cancel(started, reason="no longer needed")

    async with world.store.transaction(session, is_async=is_async) as transaction:
        await transaction.commit(stored(started))

    assert await world.keys(started) == ["store"]
    assert (await world.see(started)).status is Status.RUNNING


async def test_checkpoint_is_stored_once(world: World, is_async: bool) -> None:
    session = await world.worker()
    started = await world.running(session)
    async with world.store.transaction(session, is_async=is_async) as transaction:
        await transaction.commit(stored(started, b"1"))

    async with world.store.transaction(session, is_async=is_async) as transaction:
        with pytest.raises(UniqueViolation):
            await transaction.commit(stored(started, b"2"))

    (record,) = await world.store.steps(started, after=None, limit=10)
    assert record.value == b"1"


async def _execute(transaction: Transaction, statement: str, *, is_async: bool) -> list[Any]:
    done = transaction.connection.execute(statement)
    cursor = await done if is_async else done
    if cursor.description is None:
        return []
    rows = cursor.fetchall()
    return list(await rows if is_async else rows)


async def _rows(postgres: PostgresWorld) -> list[Any]:
    session = await postgres.worker()
    async with postgres.store.transaction(session, is_async=True) as transaction:
        return await _execute(transaction, "select name from ledger", is_async=True)


async def _begin(postgres: PostgresWorld) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    async with postgres.store.transaction(session, is_async=True) as transaction:
        await _execute(transaction, "create table ledger (name text primary key)", is_async=True)
        await transaction.commit(stored(started))


async def test_writes_and_checkpoint_commit_together(postgres: PostgresWorld, is_async: bool) -> None:
    await _begin(postgres)
    session = await postgres.worker()
    started = await postgres.running(session)

    async with postgres.store.transaction(session, is_async=is_async) as transaction:
        await _execute(transaction, "insert into ledger values ('paid')", is_async=is_async)
        await transaction.commit(stored(started))

    assert await _rows(postgres) == [("paid",)]
    assert await postgres.keys(started) == ["store"]


async def test_writes_of_a_step_that_raises_are_undone(postgres: PostgresWorld, is_async: bool) -> None:
    await _begin(postgres)
    session = await postgres.worker()
    started = await postgres.running(session)

    async def step() -> None:
        async with postgres.store.transaction(session, is_async=is_async) as transaction:
            await _execute(transaction, "insert into ledger values ('paid')", is_async=is_async)
            raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await step()
    assert await _rows(postgres) == []
    assert await postgres.keys(started) == []


async def test_writes_of_a_stale_worker_are_undone(postgres: PostgresWorld, is_async: bool) -> None:
    """F1: the effect goes with the checkpoint that could not be stored."""
    await _begin(postgres)
    session = await postgres.worker()
    started = await postgres.running(session)

    async def step() -> None:
        async with postgres.store.transaction(session, is_async=is_async) as transaction:
            await _execute(transaction, "insert into ledger values ('paid')", is_async=is_async)
            postgres.crash()
            await transaction.commit(stored(started))

    with pytest.raises(LeaseLost):
        await step()
    assert await _rows(postgres) == []


async def test_connection_goes_back_clean_after_an_error(postgres: PostgresWorld, is_async: bool) -> None:
    """F35: more failures than there are connections."""
    session = await postgres.worker()
    started = await postgres.running(session)

    async def step() -> None:
        async with postgres.store.transaction(session, is_async=is_async) as transaction:
            await _execute(transaction, "select 1/0", is_async=is_async)

    for _ in range(10):
        with pytest.raises(Exception, match="division by zero"):
            await step()
    async with postgres.store.transaction(session, is_async=is_async) as transaction:
        await transaction.commit(stored(started))
    assert await postgres.keys(started) == ["store"]


async def test_step_that_is_cut_again_while_its_connection_goes_back_keeps_none(
    postgres: PostgresWorld, is_async: bool
) -> None:
    """F35: more often than there are connections."""
    session = await postgres.worker()

    async def hang(begun: asyncio.Event) -> None:
        async with postgres.store.transaction(session, is_async=is_async) as transaction:
            await _execute(transaction, "select 1", is_async=is_async)
            begun.set()
            await asyncio.Event().wait()

    for _ in range(transactions.MAX_CONNECTIONS + 1):
        step = asyncio.create_task(hang(begun := asyncio.Event()))
        async with asyncio.timeout(20):
            await begun.wait()
        step.cancel()
        await asyncio.sleep(0)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step


async def test_connection_is_waited_for_a_while_only(
    postgres: PostgresWorld, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F34: a process that stops need not wait until others are done with theirs."""
    monkeypatch.setattr(transactions, "WAIT_SECONDS", 0.1)
    session = await postgres.worker()
    async with AsyncExitStack() as all_of_them:
        for _ in range(transactions.MAX_CONNECTIONS):
            await all_of_them.enter_async_context(postgres.store.transaction(session, is_async=is_async))

        with pytest.raises(
            DatabaseUnavailable, match=r"no connection for a transaction within 0\.1 s: all 8 are in use"
        ):
            async with postgres.store.transaction(session, is_async=is_async):
                pass

    async with postgres.store.transaction(session, is_async=is_async):
        pass
