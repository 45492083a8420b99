"""Races around waiting, with a forced order on real connections; negative controls show what is needed.

Each is forced by a lock that the test holds: on a topic's row, on an execution's row.
"""

from __future__ import annotations

import pytest

from stepwell.core.events import address
from stepwell.core.model import Batch, Ending, ExecutionId, Look, NewEvent, SessionId, Waiting
from stepwell.core.status import Status
from tests.store import racing
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import DONE, HOUR, LEASE, MINUTE, STOPPED, PostgresWorld, child

KEY = address(key="k")
EVENT = NewEvent("paid", KEY, b'"came"')

# places in an answer of send.sql and of look.sql
IS_DONE, WAITING = 2, 4
NUMBER, IS_BLIND = 1, -1


def _look(execution_id: ExecutionId, postgres: PostgresWorld, name: str = "paid") -> Call:
    return racing.look([Look(execution_id, "wait", name, KEY, 0, postgres.store.now() - HOUR)])


def _park(session: SessionId, execution_id: ExecutionId, signals: int = 0) -> Call:
    return racing.flush(session, Batch(endings=[Ending(execution_id, Waiting(None, "waits", signals))]))


def _end(session: SessionId, execution_id: ExecutionId) -> Call:
    return racing.flush(session, Batch(endings=[Ending(execution_id, DONE)]))


# --- beginning to wait, and sending -------------------------------------------------------------------------------


async def _wait_while_it_is_sent(postgres: PostgresWorld, one: Racer, other: Racer, send: Call) -> ExecutionId:
    """A sender waits for the topic, which an execution has that begins to wait; then that one parks."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.send(name="paid", to=KEY, payload=b'"old"')
    postgres.advance(2 * HOUR)  # the topic is there; the old event is from before its time
    with one.transaction():
        one.run(_look(started, postgres))
        sending = other.start_and_block(send)
    sent = answer_of(sending)[0]
    if not sent[IS_DONE]:
        assert other.run(send)[0][WAITING] == 1
    one.run(_park(session, started))
    return started


async def test_event_sent_while_somebody_begins_to_wait_wakes_him(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F32, F40: the sender's snapshot is older than the wait; it is told to look again."""
    started = await _wait_while_it_is_sent(postgres, one, other, racing.send(EVENT))

    assert (await postgres.see(started)).status is Status.PENDING


async def test_without_the_test_of_waits_the_wake_up_is_lost(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """The negative control."""
    careless = racing.send(EVENT).without(b"where p.waits = (select waits from seen)")

    started = await _wait_while_it_is_sent(postgres, one, other, careless)

    assert (await postgres.see(started)).status is Status.WAITING


@pytest.mark.parametrize("is_new", [True, False])
async def test_sender_waits_for_who_makes_the_topic(
    postgres: PostgresWorld, one: Racer, other: Racer, is_new: bool
) -> None:
    """F40: also when the first wait and the first event of a topic meet."""
    session = await postgres.worker()
    started = await postgres.running(session)
    if not is_new:
        await postgres.look(started, "earlier")

    with one.transaction():
        one.run(_look(started, postgres))
        sending = other.start_and_block(racing.send(EVENT))

    assert not answer_of(sending)[0][IS_DONE]
    assert await postgres.store.send(EVENT) == (True, 1)


@pytest.mark.parametrize("is_new", [True, False])
async def test_look_that_waits_for_the_sender_is_told_that_it_was_blind(
    postgres: PostgresWorld, one: Racer, other: Racer, is_new: bool
) -> None:
    """F40, F32: it looks again, and finds the event."""
    started = await postgres.running(await postgres.worker())
    if not is_new:
        await postgres.look(started, "earlier")

    with one.transaction():
        one.run(racing.send(EVENT))
        looking = other.start_and_block(_look(started, postgres))

    (answer,) = answer_of(looking)
    assert (answer[NUMBER], answer[IS_BLIND]) == (None, True)
    event = await postgres.look(started)
    assert event is not None
    assert event.payload == EVENT.payload


async def test_blind_look_registers_nothing(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """Else its execution would be told of an event that another call of it takes."""
    started = await postgres.running(await postgres.worker())

    with one.transaction():
        one.run(racing.send(EVENT))
        looking = other.start_and_block(_look(started, postgres))
    answer_of(looking)

    assert one.execute("select count(*) from stepwell.wait") == [(0,)]


async def test_senders_of_one_id_store_one_event(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F47, F103."""
    same = EVENT._replace(id="e1")

    with one.transaction():
        (first,) = one.run(racing.send(same))
        sending = other.start_and_block(racing.send(same))
    (second,) = answer_of(sending)

    assert [first[2:4], second[2:4]] == [(True, True), (True, False)]
    assert one.execute("select count(*) from stepwell.event") == [(1,)]


async def test_events_are_in_the_order_of_their_commits(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F38: a reader who has seen a number never misses a smaller one."""
    with one.transaction():
        one.run(racing.send(EVENT._replace(payload=b"1")))
        sending = other.start_and_block(racing.send(EVENT._replace(payload=b"2")))
    answer_of(sending)

    assert one.execute("select payload from stepwell.event order by number") == [(b"1",), (b"2",)]


# --- parking, and what lets it go on ------------------------------------------------------------------------------


async def test_park_that_waits_for_the_sender_is_due_at_once(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F40, F49: the wake-up has moved the signals of the row that the park waits for."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)

    with one.transaction():
        one.run(racing.send(EVENT))
        parking = other.start_and_block(_park(session, started))
    answer_of(parking)

    assert (await postgres.see(started)).status is Status.PENDING


async def test_without_the_test_of_signals_the_event_between_look_and_park_is_lost(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The negative control."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)

    with one.transaction():
        one.run(racing.send(EVENT))
        careless = _park(session, started).without(b"x.signals <> n.signals or ")
        parking = other.start_and_block(careless)
    answer_of(parking)

    assert (await postgres.see(started)).status is Status.WAITING


async def test_sender_that_waits_for_the_park_wakes_it(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F49: the other order."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)

    with one.transaction():
        one.run(_park(session, started))
        sending = other.start_and_block(racing.send(EVENT))

    assert answer_of(sending)[0][WAITING] == 1
    assert (await postgres.see(started)).status is Status.PENDING


async def test_without_the_decision_in_set_the_parked_execution_sleeps_on(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """The negative control: asked of the snapshot, the execution still runs."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)
    asked_before = b"(select y.status from stepwell.execution y where y.id = x.id) = 'waiting'"

    with one.transaction():
        one.run(_park(session, started))
        sending = other.start_and_block(racing.send(EVENT).with_(asked_before, instead_of=b"x.status = 'waiting'"))
    answer_of(sending)

    assert (await postgres.see(started)).status is Status.WAITING


async def test_two_wakers_wake_once(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F46: an event and the end of a child, at once."""
    session = await postgres.worker()
    parent, called = await postgres.family(session)
    await postgres.look(parent)
    await postgres.park(session, parent)

    with one.transaction():
        one.run(racing.send(EVENT))
        ending = other.start_and_block(_end(session, called))
    answer_of(ending)

    claim = await postgres.claim(session)
    assert [(row.id, row.passes, row.signals) for row in claim.executions] == [(parent, 2, 2)]


@pytest.mark.parametrize("first", ["event", "claim"])
async def test_event_at_the_time_out_is_found_by_the_pass_that_the_time_out_begins(
    postgres: PostgresWorld, one: Racer, other: Racer, first: str
) -> None:
    """F45: whoever is first, one pass begins, and the event is there for it."""
    session = await postgres.worker()
    started = await postgres.running(session)
    await postgres.look(started)
    await postgres.end(session, started, Waiting(postgres.store.now(), "waits", 0))

    with one.transaction():
        if first == "event":
            one.run(racing.send(EVENT))
            assert other.run(racing.claim(session, limit=1))[0][5] is None  # held: nobody waits for it
        else:
            one.run(racing.claim(session, limit=1))
            sending = other.start_and_block(racing.send(EVENT))
    if first == "event":
        other.run(racing.claim(session, limit=1))
    else:
        answer_of(sending)

    seen = await postgres.see(started)
    assert (seen.status, seen.passes) == (Status.RUNNING, 2)
    assert await postgres.look(started) is not None


# --- children -----------------------------------------------------------------------------------------------------


async def family(postgres: PostgresWorld) -> tuple[SessionId, SessionId, ExecutionId, ExecutionId]:
    """(a session, another one, a parent that runs in the first, its called child that runs in the other)"""
    session, elsewhere = await postgres.worker(), await postgres.worker("host:2")
    parent = await postgres.running(session)
    called = await postgres.child(session, parent)
    assert await postgres.claimed_ids(elsewhere) == [called]
    return session, elsewhere, parent, called


async def test_park_that_waits_for_the_end_of_a_child_is_due_at_once(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F50: on two workers."""
    session, elsewhere, parent, called = await family(postgres)

    with one.transaction():
        one.run(_end(elsewhere, called))
        parking = other.start_and_block(_park(session, parent))
    answer_of(parking)

    assert (await postgres.see(parent)).status is Status.PENDING


async def test_end_of_a_child_that_waits_for_the_park_wakes_it(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F50: the other order."""
    session, elsewhere, parent, called = await family(postgres)

    with one.transaction():
        one.run(_park(session, parent))
        ending = other.start_and_block(_end(elsewhere, called))
    answer_of(ending)

    assert (await postgres.see(parent)).status is Status.PENDING


async def test_child_whose_cancelled_parent_ends_first_is_cancelled(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51: its own park waits for that, and is due at once."""
    session, elsewhere, parent, called = await family(postgres)

    with one.transaction():
        one.run(racing.flush(session, Batch(endings=[Ending(parent, STOPPED)])))
        parking = other.start_and_block(_park(elsewhere, called))
    answer_of(parking)

    claimed = await postgres.claim_one(elsewhere)
    assert (claimed.id, claimed.cancel_reason) == (called, "its parent has ended")


async def test_child_that_ends_before_its_parents_cancel_reaches_it_keeps_its_end(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51."""
    session, elsewhere, parent, called = await family(postgres)

    with one.transaction():
        one.run(_end(elsewhere, called))
        ending = other.start_and_block(racing.flush(session, Batch(endings=[Ending(parent, STOPPED)])))
    answer_of(ending)

    assert (await postgres.see(called)).status is Status.COMPLETED
    assert (await postgres.see(parent)).status is Status.CANCELLED


async def test_cancel_that_comes_while_its_parents_flush_waits_is_seen_by_the_flush(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F51: the parent returns, but it is being cancelled; what it calls in the same flush never begins."""
    session = await postgres.worker()
    parent = await postgres.running(session)
    new = child(parent)

    with one.transaction():
        one.run(racing.cancel(parent))
        ending = other.start_and_block(racing.flush(session, Batch(endings=[Ending(parent, DONE)], children=[new])))
    answer_of(ending)

    assert [(await postgres.see(id)).status for id in (parent, new.id)] == [Status.CANCELLED, Status.CANCELLED]


# --- cancelling ---------------------------------------------------------------------------------------------------


async def test_cancel_that_waits_for_the_park_makes_it_due(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F51."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(_park(session, started))
        cancelling = other.start_and_block(racing.cancel(started))

    assert answer_of(cancelling)[0][0] == Status.PENDING
    assert (await postgres.claim_one(session)).cancel_reason == "no longer needed"


async def test_park_that_waits_for_the_cancel_is_due(postgres: PostgresWorld, one: Racer, other: Racer) -> None:
    """F51."""
    session = await postgres.worker()
    started = await postgres.running(session)

    with one.transaction():
        one.run(racing.cancel(started))
        parking = other.start_and_block(_park(session, started))
    answer_of(parking)

    assert (await postgres.claim_one(session)).cancel_reason == "no longer needed"


async def test_event_that_waits_for_a_forced_end_wakes_nobody(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    session = await postgres.worker()
    started = await postgres.waiting(session)

    with one.transaction():
        one.run(racing.cancel(started, force=True))
        sending = other.start_and_block(racing.send(EVENT))

    assert answer_of(sending)[0][WAITING] == 0
    assert (await postgres.see(started)).status is Status.CANCELLED


async def test_reaper_and_the_end_of_a_child_wake_the_parent_once_each_way(
    postgres: PostgresWorld, one: Racer, other: Racer
) -> None:
    """F50: a child that crashes for the last time while somebody looks at its parent."""
    session = await postgres.worker()
    parent, called = await postgres.family(session)
    await postgres.park(session, parent)
    postgres.advance(LEASE + MINUTE)
    one.execute("update stepwell.execution set crashes = 3 where id = %s", called)

    with one.transaction():
        one.run(racing.watch([parent]))
        reaping = other.start_and_block(racing.reap())
    answer_of(reaping)

    seen = await postgres.see(parent)
    assert (seen.status, (await postgres.see(called)).status) == (Status.PENDING, Status.FAILED)
