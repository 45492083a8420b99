"""What a client asks of the store so that its callers hear of an end at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from stepwell.client import MAX_UNASKED, Client
from stepwell.core.model import Batch, ClaimRequest, Created, Ending, Execution, ExecutionId, NewExecution, WorkerInfo
from stepwell.core.status import Status
from stepwell.store.memory import MemoryStore
from tests.store.world import DONE, LEASE, execution

LIMIT = timedelta(seconds=10)


class Store(MemoryStore):
    """Also notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: list[bool] = []  # of each start
        self.watched: list[ExecutionId] = []

    async def create(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        self.awaited += [one.is_awaited for one in new]
        return await super().create(new)

    async def watch(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        self.watched += ids
        return await super().watch(ids)

    async def work(self) -> None:
        """End whatever is due."""
        session = await self.open_session(WorkerInfo("host:1", ("order",)), lease_for=LEASE)
        claim = await self.claim(session, ClaimRequest(("default",), ("order",), 1_000))
        await self.flush(session, Batch(endings=[Ending(one.id, DONE) for one in claim.executions]))
        await self.close_session(session)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(store: Store) -> Client:
    return Client(store)


async def start(client: Client, **fields: object) -> ExecutionId:
    (created,) = await client.start([execution(**fields)])
    return created.id


async def wait(client: Client, store: Store, execution_id: ExecutionId) -> None:
    """Wait for its end, which comes after the waiting has begun."""
    waiting = asyncio.create_task(client.ended(execution_id, timeout=LIMIT))
    await asyncio.sleep(0)
    await store.work()
    assert (await waiting).status is Status.COMPLETED


async def test_whoever_waited_for_its_last_start_asks_with_the_next(client: Client, store: Store) -> None:
    first = await start(client)
    await wait(client, store, first)
    second = await start(client)
    await wait(client, store, second)

    assert store.awaited == [False, True]
    assert store.watched == [first]


async def test_starts_that_nobody_waits_for_soon_ask_for_nothing(client: Client, store: Store) -> None:
    """F43: no notification is sent for nothing."""
    await wait(client, store, await start(client))

    for _ in range(MAX_UNASKED + 2):
        await start(client)

    assert store.awaited[-3:] == [True, True, False]


async def test_start_of_many_asks_for_nothing(client: Client, store: Store) -> None:
    await wait(client, store, await start(client))

    created = await client.start([execution(), execution()])
    await wait(client, store, created[0].id)

    assert store.awaited == [False, False, False]
    assert store.watched[1:] == [created[0].id]


async def test_start_that_finds_an_earlier_execution_watches_that(client: Client, store: Store) -> None:
    await wait(client, store, await start(client))
    earlier = await start(Client(store), key="k")

    found = await start(client, key="k")
    await wait(client, store, found)

    assert found == earlier
    assert store.watched[1:] == [earlier]


async def test_second_wait_for_the_same_execution_watches_it(client: Client, store: Store) -> None:
    """What was asked with the start is asked once; a retry may have made it go on since."""
    await wait(client, store, await start(client))
    again = await start(client)
    await wait(client, store, again)

    await client.ended(again, timeout=LIMIT)

    assert store.watched[1:] == [again]
