"""Events that are sent inside a caller's own transaction: they come with its commit, and until then hold up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from stepwell.core.events import address
from stepwell.core.model import Batch, Ending, ExecutionId, NewEvent, Sent, Waiting
from stepwell.core.status import Status
from stepwell.errors import InvalidOption
from stepwell.store.foreign import send_on, send_on_sync
from stepwell.store.postgres import PostgresStore
from tests.store import racing
from tests.store.racing import Racer
from tests.store.world import SIGNAL_SECONDS, Hints, PostgresWorld, unknown

EVENT = NewEvent("paid", address(key="k"), b'"came"')


@pytest.fixture
def caller(postgres: PostgresWorld) -> Iterator[psycopg.Connection]:
    """A connection of somebody's who writes to tables of his own, too."""
    with psycopg.connect(postgres.url) as connection:
        yield connection


@pytest.fixture
async def async_caller(postgres: PostgresWorld) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        yield connection


async def posted(postgres: PostgresWorld) -> None:
    """Return when a worker's claim has had the outbox emptied."""
    session = await postgres.worker("postman:1", workflows=("none",))
    async with asyncio.timeout(SIGNAL_SECONDS):
        while await _count(postgres, "outbox"):
            await postgres.claim(session, workflows=("none",))
            assert postgres.store._posting is not None  # type: ignore[attr-defined]
            await postgres.store._posting  # type: ignore[attr-defined]


async def _count(postgres: PostgresWorld, table: str) -> int:
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        row = await (await connection.execute(f"select count(*) from stepwell.{table}".encode())).fetchone()
    assert row is not None
    return int(row[0])


async def _payloads(postgres: PostgresWorld, execution_id: ExecutionId) -> list[bytes]:
    """Of the events of the topic, in their order."""
    taken: list[bytes] = []
    position = 0
    while event := await postgres.look(execution_id, position=position):
        taken.append(event.payload)
        position = event.number
    return taken


async def test_event_comes_with_the_commit_and_wakes_who_waits(
    postgres: PostgresWorld, async_caller: psycopg.AsyncConnection
) -> None:
    session = await postgres.worker()
    waits = await postgres.waiting(session)

    assert await send_on(async_caller, EVENT, schema="stepwell")
    await posted(postgres)
    assert (await postgres.see(waits)).status is Status.WAITING
    await async_caller.commit()
    await posted(postgres)

    assert (await postgres.claim_one(session)).id == waits
    event = await postgres.look(waits)
    assert event is not None
    assert event.payload == b'"came"'


async def test_rollback_leaves_nothing(postgres: PostgresWorld, caller: psycopg.Connection) -> None:
    waits = await postgres.waiting(await postgres.worker())

    assert send_on_sync(caller, EVENT, schema="stepwell")
    caller.rollback()
    await posted(postgres)

    assert (await postgres.see(waits)).status is Status.WAITING
    assert [await _count(postgres, table) for table in ("outbox", "event")] == [0, 0]


async def test_commit_wakes_an_idle_worker(postgres: PostgresWorld, caller: psycopg.Connection) -> None:
    session = await postgres.worker()
    await postgres.store.set_idle(session, is_idle=True)
    hints = Hints(postgres.store)

    send_on_sync(caller, EVENT, schema="stepwell")
    caller.commit()

    assert await hints.next() == "work"


async def test_event_to_an_execution_that_nobody_knows_is_refused_at_once(
    postgres: PostgresWorld, caller: psycopg.Connection
) -> None:
    started = await postgres.start()

    assert not send_on_sync(caller, EVENT._replace(address=address(execution_id=unknown())), schema="stepwell")
    assert send_on_sync(caller, EVENT._replace(address=address(execution_id=started)), schema="stepwell")


async def test_only_psycopg_connections_carry_events(postgres: PostgresWorld) -> None:
    with pytest.raises(InvalidOption, match="give a psycopg connection"):
        await send_on(object(), EVENT, schema="stepwell")
    with pytest.raises(InvalidOption, match="give a psycopg connection"):
        send_on_sync(object(), EVENT, schema="stepwell")


async def test_events_of_a_transaction_keep_their_order_and_come_before_later_ones(
    postgres: PostgresWorld, caller: psycopg.Connection
) -> None:
    started = await postgres.start()
    for payload in (b"1", b"2", b"3"):
        send_on_sync(caller, EVENT._replace(payload=payload), schema="stepwell")
    caller.commit()

    assert await postgres.send(b"4") == Sent(is_new=True, waiting=0)  # sent directly, by the same sender

    assert await _payloads(postgres, started) == [b"1", b"2", b"3", b"4"]


async def test_event_id_is_taken_once_however_it_is_sent(postgres: PostgresWorld, caller: psycopg.Connection) -> None:
    """F103."""
    await postgres.send(b"1", id="e1")
    send_on_sync(caller, EVENT._replace(id="e1"), schema="stepwell")
    send_on_sync(caller, EVENT._replace(id="e2"), schema="stepwell")
    caller.commit()
    await posted(postgres)

    assert await postgres.send(b"3", id="e2") == Sent(is_new=False, waiting=0)
    assert await _count(postgres, "event") == 2


async def test_execution_that_began_before_the_commit_gets_the_event(
    postgres: PostgresWorld, caller: psycopg.Connection
) -> None:
    """F38: it counts as sent when it is committed; the sender could not have known when that would be."""
    send_on_sync(caller, EVENT, schema="stepwell")
    started = await postgres.start()
    caller.commit()
    await posted(postgres)

    assert await postgres.look(started) is not None


async def test_many_workers_put_each_event_into_its_place_once_and_in_order(
    postgres: PostgresWorld, caller: psycopg.Connection
) -> None:
    started = await postgres.start()
    for number in range(250):
        send_on_sync(caller, EVENT._replace(payload=str(number).encode()), schema="stepwell")
    caller.commit()
    stores = [PostgresStore(postgres.url) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))

    await asyncio.gather(*(store._empty_outbox(store._waits) for store in stores))

    assert [int(payload) for payload in await _payloads(postgres, started)] == list(range(250))
    await asyncio.gather(*(store.close() for store in stores))


# --- who is held up -----------------------------------------------------------------------------------------------


async def test_open_transaction_that_has_sent_holds_up_nobody(
    postgres: PostgresWorld, caller: psycopg.Connection
) -> None:
    """F34: neither a flush of who waits for that event, nor another sender, nor who begins to wait."""
    session = await postgres.worker()
    parked, (running, called) = await postgres.waiting(session), await postgres.family(session)
    await postgres.look(running)
    send_on_sync(caller, EVENT, schema="stepwell")

    async with asyncio.timeout(SIGNAL_SECONDS):
        await postgres.park(session, running)
        assert await postgres.look(called) is None
        await postgres.end(session, called)  # whose parent waits for the event, too
        assert await postgres.send(b"another", name="sent") == Sent(is_new=True, waiting=0)
        assert await postgres.send(b"direct") == Sent(is_new=True, waiting=2)
        assert await postgres.store.cancel(parked, reason="no longer needed") is not None
        assert sorted(await postgres.claimed_ids(session)) == sorted([parked, running])


async def test_without_the_outbox_a_flush_waits_for_the_callers_transaction(postgres: PostgresWorld) -> None:
    """The negative control: sent directly, the event locks who waits for it until the caller commits."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)
    caller, flusher = Racer(postgres.url), Racer(postgres.url)

    with caller.transaction():
        caller.run(racing.send(EVENT))
        parking = racing.flush(session, Batch(endings=[Ending(started, Waiting(None, "waits", 0))]))
        held_up = flusher.start_and_block(parking)
    held_up.result(SIGNAL_SECONDS)

    caller.close()
    flusher.close()
