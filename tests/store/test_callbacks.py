"""A callback is answered once, in time, and its answer is an event of its execution: both or neither."""

from __future__ import annotations

import asyncio

import pytest

from stepwell.core.callbacks import Callback, NewCallback
from stepwell.core.events import address
from stepwell.core.model import ExecutionId, SessionId
from stepwell.store.identity import new_id
from tests.store.world import DAY, DONE, HOUR, SIGNAL_SECONDS, PostgresWorld, World, unknown


def callback(world: World, execution_id: ExecutionId, name: str = "approval", **fields: object) -> NewCallback:
    new = NewCallback(
        id=new_id(),
        execution_id=execution_id,
        key=f"{name}-url",
        name=name,
        prompt="Approve?",
        schema=b'{"type":"boolean"}',
        expires_at=world.store.now() + DAY,
    )
    return new._replace(**fields)  # type: ignore[arg-type]


async def opened(world: World, execution_id: ExecutionId, **fields: object) -> NewCallback:
    new = callback(world, execution_id, **fields)  # type: ignore[arg-type]
    await world.store.callbacks.open_callback(new)
    return new


async def see(world: World, new: NewCallback) -> Callback:
    found = await world.store.callbacks.callback(new.id)
    assert found is not None
    return found


async def events_of(world: World, execution_id: ExecutionId) -> list[tuple[str, bytes]]:
    to = address(execution_id=execution_id)
    return [(event.name, event.payload) for event in await world.store.events(name=None, address=to, limit=10)]


async def test_opened_callback_is_as_it_was_asked_for(world: World) -> None:
    started = await world.start()
    new = await opened(world, started)

    row = await see(world, new)

    assert (row.execution_id, row.key, row.name, row.prompt) == (started, "approval-url", "approval", "Approve?")
    assert (row.schema, row.answered_at, row.answered_by, row.has_ended) == (new.schema, None, None, False)
    assert abs(row.expires_at - new.expires_at).total_seconds() < 0.001


async def test_callback_opened_again_stays_what_it_was(world: World) -> None:
    """A pass that died between the row and its checkpoint: the next one is told what the first one had said."""
    started = await world.start()
    new = callback(world, started)
    first = await world.store.callbacks.open_callback(new)

    again = await world.store.callbacks.open_callback(new._replace(expires_at=new.expires_at + DAY, prompt="Other?"))

    assert again == first
    assert (await see(world, new)).prompt == "Approve?"


async def test_callback_of_an_unknown_execution_is_not_stored(world: World) -> None:
    new = await opened(world, unknown())

    assert await world.store.callbacks.callback(new.id) is None


async def test_answer_is_noted_with_who_gave_it(world: World) -> None:
    started = await world.start()
    new = await opened(world, started)

    assert await world.store.callbacks.answer(new.id, b"true", by="ann")

    row = await see(world, new)
    assert (row.answered_by, row.answered_at is not None) == ("ann", True)
    assert await events_of(world, started) == [("approval", b"true")]
    assert await world.audited(started) == [("ann", "answer")]


async def test_answered_execution_is_claimed_and_finds_the_event(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    to = address(execution_id=started)
    assert await world.look(started, name="approval", to=to) is None
    await world.park(session, started)
    new = await opened(world, started)

    assert await world.store.callbacks.answer(new.id, b"true", by=None)

    assert await claimed_in_time(world, session) == started
    event = await world.look(started, name="approval", to=to)
    assert event is not None
    assert event.payload == b"true"


async def claimed_in_time(world: World, session: SessionId) -> ExecutionId:
    """What is claimed once the event has taken its place, which happens beside the claims."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        while not (found := await world.claimed_ids(session)):
            pass
    return found[0]


async def test_second_answer_changes_nothing(world: World) -> None:
    started = await world.start()
    new = await opened(world, started)
    await world.store.callbacks.answer(new.id, b"true", by="ann")

    assert not await world.store.callbacks.answer(new.id, b"false", by="bob")

    assert (await see(world, new)).answered_by == "ann"
    assert await events_of(world, started) == [("approval", b"true")]


async def test_expired_callback_is_not_answered(world: World) -> None:
    started = await world.start()
    new = await opened(world, started, expires_at=world.store.now() + HOUR)
    world.advance(HOUR * 2)

    assert not await world.store.callbacks.answer(new.id, b"true", by="ann")

    assert (await see(world, new)).answered_at is None
    assert await events_of(world, started) == []


async def test_callback_of_an_ended_execution_is_not_answered(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    new = await opened(world, started)
    await world.end(session, started, DONE)

    assert not await world.store.callbacks.answer(new.id, b"true", by="ann")

    assert (await see(world, new)).has_ended
    assert await events_of(world, started) == []


async def test_unknown_callback_is_not_answered(world: World) -> None:
    assert not await world.store.callbacks.answer(new_id(), b"true", by="ann")


async def test_callbacks_of_an_execution_come_in_their_order(world: World) -> None:
    started, other = await world.start(), await world.start()
    first = await opened(world, started, name="first")
    world.advance(HOUR)
    second = await opened(world, started, name="second")
    await opened(world, other)

    found = await world.store.callbacks.callbacks(started)

    assert [row.id for row in found] == [first.id, second.id]


async def test_callback_goes_with_its_execution(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    new = await opened(world, started)
    await world.end(session, started, DONE)
    world.advance(DAY)

    await world.store.remove({"order": HOUR})
    while await world.store.sweep():
        pass

    assert await world.store.callbacks.callback(new.id) is None


@pytest.mark.parametrize("by", [None, "Ann; drop table stepwell.callback --", "Zoë 🦊"])
async def test_name_is_kept_as_it_was_given(postgres: PostgresWorld, by: str | None) -> None:
    new = await opened(postgres, await postgres.start())

    await postgres.store.callbacks.answer(new.id, b"true", by=by)

    assert (await see(postgres, new)).answered_by == by
