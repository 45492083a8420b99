"""Looking at the events that are kept, and at who waits for them."""

from __future__ import annotations

import psycopg
import pytest

from stepwell.core.events import address
from stepwell.core.model import EventRecord, ExecutionId, Look, NewEvent, WaitRecord
from stepwell.core.status import Status
from stepwell.store.foreign import send_on_sync
from tests.store.world import MINUTE, PostgresWorld, World


async def begin_to_wait(world: World, execution_id: ExecutionId, step: str, name: str, *, key: str | None) -> None:
    receiver = address(key=key, execution_id=execution_id)
    look = Look(execution_id, step, name, receiver, 0, (await world.see(execution_id)).created_at)
    assert await world.store.look([look]) == [None]


async def send(world: World, event: NewEvent) -> None:
    """Each at a time of its own."""
    world.advance(MINUTE)
    assert await world.store.send(event)


async def events(
    world: World, *, name: str | None = None, at: str | None = None, limit: int = 100
) -> list[EventRecord]:
    return list(await world.store.events(name=name, address=at, limit=limit))


async def test_the_newest_event_comes_first_with_what_its_sender_said(world: World) -> None:
    receiver = await world.start()
    await send(world, NewEvent("paid", address(key="4711"), b"1", "bank-7"))
    await send(world, NewEvent("approved", address(execution_id=receiver), b"true"))
    await send(world, NewEvent("paid", address(), b"2"))

    found = await events(world)

    assert [(one.name, one.key, one.execution_id, one.id, one.payload) for one in found] == [
        ("paid", None, None, None, b"2"),
        ("approved", None, receiver, None, b"true"),
        ("paid", "4711", None, "bank-7", b"1"),
    ]
    times = [one.sent_at for one in found if one.sent_at is not None]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    assert await events(world, limit=1) == found[:1]


async def test_an_event_that_was_refused_as_a_repetition_is_listed_once(world: World) -> None:
    for payload in (b"1", b"2"):
        await send(world, NewEvent("paid", address(key="4711"), payload, "bank-7"))

    assert [one.payload for one in await events(world)] == [b"1"]


async def test_events_of_one_name_and_of_one_address_are_listed_alone(world: World) -> None:
    for name, key in (("paid", "1"), ("paid", "2"), ("sent", "1")):
        await send(world, NewEvent(name, address(key=key), b"null"))

    assert [one.key for one in await events(world, name="paid")] == ["2", "1"]
    assert [one.name for one in await events(world, at="k:1")] == ["sent", "paid"]
    assert [(one.name, one.key) for one in await events(world, name="paid", at="k:1")] == [("paid", "1")]
    assert await events(world, name="pai") == []


@pytest.mark.parametrize("by", ["execution", "name", "address"])
async def test_who_waits_is_found_by_execution_by_name_and_by_address(world: World, by: str) -> None:
    session = await world.worker()
    waiter, other = await world.running(session), await world.running(session)
    await begin_to_wait(world, waiter, "approval", "approved", key="4711")
    await begin_to_wait(world, other, "payment", "paid", key=None)

    found = await world.store.waits(
        execution_id=waiter if by == "execution" else None,
        name="approved" if by == "name" else None,
        address="k:4711" if by == "address" else None,
        limit=100,
    )

    assert found == [WaitRecord(waiter, "approval", "approved", "4711", "order", Status.RUNNING, None)]


async def test_all_waits_are_listed_by_execution_and_step_up_to_a_limit(world: World) -> None:
    session = await world.worker()
    first, second = sorted([await world.running(session), await world.running(session)])
    for execution_id, step in ((second, "a"), (first, "b"), (first, "a")):
        await begin_to_wait(world, execution_id, step, "paid", key="1")

    found = await world.store.waits(execution_id=None, name=None, address=None, limit=2)

    assert [(one.execution_id, one.step) for one in found] == [(first, "a"), (first, "b")]


async def test_who_has_ended_waits_no_longer(world: World) -> None:
    session = await world.worker()
    waiter = await world.running(session)
    await begin_to_wait(world, waiter, "approval", "approved", key=None)
    await world.end(session, waiter)

    assert await world.store.waits(execution_id=waiter, name=None, address=None, limit=100) == []


async def test_an_event_of_a_transaction_that_is_in_no_topic_yet_comes_first_without_a_time(
    postgres: PostgresWorld,
) -> None:
    await send(postgres, NewEvent("paid", address(key="1"), b"1"))
    with psycopg.connect(postgres.url) as connection:
        send_on_sync(connection, NewEvent("paid", address(key="2"), b"2"), schema="stepwell")
        send_on_sync(connection, NewEvent("sent", address(key="2"), b"3"), schema="stepwell")

    found = await events(postgres)

    assert [(one.payload, one.sent_at is None) for one in found] == [(b"3", True), (b"2", True), (b"1", False)]
    assert [one.payload for one in await events(postgres, name="paid")] == [b"2", b"1"]
