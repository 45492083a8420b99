"""Answers that meet answers, ends and expiry: in forced orders, one outcome, and never an answer without its event."""

from __future__ import annotations

from stepwell.core.callbacks import NewCallback
from stepwell.core.events import address
from stepwell.core.model import Batch, Ending
from tests.store.racing import Call, Racer, answer_of, cancel, flush
from tests.store.test_callbacks import events_of, opened, see
from tests.store.world import DONE, PostgresWorld


def answer(new: NewCallback, payload: bytes = b"true", by: str = "ann") -> Call:
    return Call("answer_callback", [new.id.bytes, by.encode(), payload])


async def test_second_of_two_answers_waits_and_changes_nothing(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    started = await postgres.start()
    new = await opened(postgres, started)

    with one.transaction():
        assert one.run(answer(new, by="ann"))[0][0]
        late = other.start_and_block(answer(new, b"false", by="bob"))

    assert answer_of(late)[0][0] is False
    assert (await see(postgres, new)).answered_by == "ann"
    assert await events_of(postgres, started) == [("approval", b"true")]


async def test_second_answer_counts_when_the_first_one_rolls_back(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """A server that was killed with its answer under way: nothing of it is left."""
    started = await postgres.start()
    new = await opened(postgres, started)

    with one.transaction(force_rollback=True):
        assert one.run(answer(new, by="ann"))[0][0]
        late = other.start_and_block(answer(new, b"false", by="bob"))

    assert answer_of(late)[0][0] is True
    assert (await see(postgres, new)).answered_by == "bob"
    assert await events_of(postgres, started) == [("approval", b"false")]


async def test_answer_waits_for_an_end_under_way_and_comes_too_late(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    new = await opened(postgres, started)

    with one.transaction():
        one.run(flush(session, Batch((), (), (Ending(started, DONE),), ())))
        late = other.start_and_block(answer(new))

    assert answer_of(late)[0][0] is False
    assert (await see(postgres, new)).answered_at is None
    assert await events_of(postgres, started) == []


async def test_answer_counts_when_the_end_rolls_back(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    session = await postgres.worker()
    started = await postgres.running(session)
    new = await opened(postgres, started)

    with one.transaction(force_rollback=True):
        one.run(flush(session, Batch((), (), (Ending(started, DONE),), ())))
        late = other.start_and_block(answer(new))

    assert answer_of(late)[0][0] is True


async def test_end_waits_for_an_answer_under_way(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    started = await postgres.start()
    new = await opened(postgres, started)

    with one.transaction():
        assert one.run(answer(new))[0][0]
        ended = other.start_and_block(cancel(started))

    answer_of(ended)
    assert (await see(postgres, new)).answered_by == "ann"


async def test_callback_that_expires_while_its_answer_waits_is_not_answered(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The time counts at which the row is changed, not that at which somebody asked."""
    started = await postgres.start()
    new = await opened(postgres, started)

    with one.transaction():
        one.execute("update stepwell.callback set expires_at = now() where id = %s", new.id)
        late = other.start_and_block(answer(new))

    assert answer_of(late)[0][0] is False
    assert await events_of(postgres, started) == []


async def test_event_that_the_answering_process_left_behind_takes_its_place(
    postgres: PostgresWorld, one: Racer
) -> None:
    """It was killed right after the commit: whoever claims next puts the event into its topic."""
    session = await postgres.worker()
    started = await postgres.running(session)
    to = address(execution_id=started)
    assert await postgres.look(started, name="approval", to=to) is None
    await postgres.park(session, started)
    new = await opened(postgres, started)
    assert one.run(answer(new))[0][0]  # by a connection of nobody's: nobody posts

    claimed = None
    while claimed is None:
        claimed = next(iter(await postgres.claimed_ids(session)), None)

    assert claimed == started
    event = await postgres.look(started, name="approval", to=to)
    assert event is not None
    assert event.payload == b"true"
