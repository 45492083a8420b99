"""Events: each topic in its order, early ones kept, repeated ones taken once, senders told the truth."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stepwell.core.events import NOBODY, address
from stepwell.core.model import Elsewhere, Event, ExecutionId, Found, Kind, Look, NewEvent, Sent
from stepwell.core.status import Status
from tests.store.world import DONE, FAILED, HOUR, MINUTE, Hints, World, checkpoint, unknown

NEW_TO_NOBODY, NEW_TO_ONE = Sent(is_new=True, waiting=0), Sent(is_new=True, waiting=1)


def payload_of(found: Found) -> bytes | None:
    return found.payload if isinstance(found, Event) else None


# --- what a wait gets ---------------------------------------------------------------------------------------------


async def test_event_sent_before_anybody_waits_is_kept(world: World) -> None:
    started = await world.start()

    assert await world.send(b"early") == NEW_TO_NOBODY

    assert payload_of(await world.look(started)) == b"early"


async def test_successive_waits_get_successive_events(world: World) -> None:
    """F47: a second event does not overwrite the first."""
    started = await world.start()
    for payload in (b"1", b"2", b"3"):
        await world.send(payload)

    taken, position = [], 0
    while event := await world.look(started, position=position):
        taken.append(event.payload)
        assert event.number > position
        position = event.number

    assert taken == [b"1", b"2", b"3"]


async def test_one_event_reaches_every_execution(world: World) -> None:
    first, second = await world.start(), await world.start()

    await world.send(b"for all")

    for _ in range(2):  # and looking takes nothing away
        assert [payload_of(await world.look(one)) for one in (first, second)] == [b"for all", b"for all"]


async def test_execution_gets_no_event_from_before_its_time_unless_it_asks(world: World) -> None:
    before = world.store.now()
    await world.send(b"old")
    world.advance(HOUR)
    started = await world.start()

    assert await world.look(started) is None
    assert payload_of(await world.look(started, since=before - 2 * HOUR)) == b"old"


async def test_looking_back_goes_on_from_where_the_last_wait_was(world: World) -> None:
    started = await world.start()
    await world.send(b"1")
    await world.send(b"2")
    first = await world.look(started)
    assert first is not None

    again = await world.look(started, position=first.number, since=world.store.now() - 10 * HOUR)

    assert payload_of(again) == b"2"


async def test_topics_are_apart_by_name_and_by_receiver(world: World) -> None:
    """F67: no key is ever mistaken for the id of an execution."""
    started, other = await world.start(), await world.start()
    own = address(execution_id=started)
    for name, to in [("paid", address(key="other")), ("sent", address(key="k")), ("paid", NOBODY)]:
        await world.send(name=name, to=to)
    await world.send(to=address(key=str(started)))
    await world.send(to=address(key=own))
    await world.send(to=address(execution_id=other))

    assert await world.look(started) is None
    assert await world.look(started, to=own) is None

    assert await world.send(b"mine", to=own) == Sent(is_new=True, waiting=1)
    assert payload_of(await world.look(started, to=own)) == b"mine"


async def test_many_looks_are_answered_in_the_order_asked(world: World) -> None:
    ids = [await world.start() for _ in range(20)]
    for number, id in enumerate(ids):
        if number % 2:
            await world.send(str(number).encode(), to=address(execution_id=id))
    since = world.store.now() - HOUR

    found = await world.store.look([Look(id, "wait", "paid", address(execution_id=id), 0, since) for id in ids])

    assert [payload_of(one) for one in found] == [str(n).encode() if n % 2 else None for n in range(20)]


async def test_time_of_an_event_is_by_the_stores_clock(world: World) -> None:
    """F17."""
    started = await world.start()
    before = world.store.now()

    await world.send()

    event = await world.look(started)
    assert event is not None
    assert before - MINUTE < event.sent_at < before + MINUTE


# --- repetitions and unknown receivers ----------------------------------------------------------------------------


async def test_event_id_is_taken_once_by_its_topic(world: World) -> None:
    started = await world.start()

    assert await world.send(b"1", id="e1") == NEW_TO_NOBODY
    assert await world.send(b"other", id="e1") == Sent(is_new=False, waiting=0)
    assert await world.send(b"2", id="e2") == NEW_TO_NOBODY
    assert await world.send(b"3", id="e1", to=address(key="elsewhere")) == NEW_TO_NOBODY

    first = await world.look(started)
    assert first is not None
    second = await world.look(started, position=first.number)
    assert second is not None
    assert (first.payload, second.payload) == (b"1", b"2")
    assert await world.look(started, position=second.number) is None


async def test_repeated_event_wakes_nobody(world: World) -> None:
    session = await world.worker()
    await world.send(b"1", id="e1")
    world.advance(MINUTE)
    waits = await world.waiting(session, since=world.store.now())

    assert await world.send(b"1", id="e1") == Sent(is_new=False, waiting=0)

    assert (await world.see(waits)).status is Status.WAITING


async def test_event_to_an_execution_that_nobody_knows_is_refused(world: World) -> None:
    nobody = address(execution_id=unknown())

    assert await world.send(to=nobody) is None
    assert await world.send(to=nobody, id="e1") is None


async def test_event_to_an_execution_that_has_ended_is_kept_for_a_retry(world: World) -> None:
    failed = await world.ended(FAILED)
    own = address(execution_id=failed)

    assert await world.send(b"late", to=own) == NEW_TO_NOBODY

    await world.store.reopen(failed)
    assert payload_of(await world.look(failed, to=own)) == b"late"


# --- who is woken, and what the sender is told --------------------------------------------------------------------


async def test_event_wakes_all_who_wait_for_it_and_the_sender_is_told_how_many(world: World) -> None:
    session = await world.worker()
    waiting = [await world.waiting(session) for _ in range(3)]
    elsewhere = await world.waiting(session, to=address(key="other"))

    assert await world.send() == Sent(is_new=True, waiting=3)

    for one in waiting:
        seen = await world.see(one)
        assert (seen.status, seen.why) == (Status.PENDING, "event 'paid'; ready, waits for a free worker")
    assert (await world.see(elsewhere)).status is Status.WAITING
    assert sorted(await world.claimed_ids(session)) == sorted(waiting)


async def test_execution_that_still_runs_beside_its_wait_is_counted_too(world: World) -> None:
    """Another branch of it works: it takes the event no less."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)

    assert await world.send() == NEW_TO_ONE

    assert (await world.see(started)).status is Status.RUNNING


async def test_who_has_got_an_earlier_event_is_not_counted_for_the_next_one(world: World) -> None:
    session = await world.worker()
    await world.waiting(session)

    assert [await world.send(), await world.send()] == [NEW_TO_ONE, NEW_TO_NOBODY]


async def test_who_waits_for_the_second_event_is_counted_for_that_one(world: World) -> None:
    session = await world.worker()
    waits = await world.waiting(session)
    await world.send(b"1")
    claimed = await world.claim_one(session)
    first = await world.look(waits)
    assert first is not None
    await world.flush(session, checkpoints=[checkpoint(waits, "wait", kind=Kind.WAIT)])
    assert await world.look(waits, "wait#2", position=first.number) is None
    await world.park(session, waits, signals=claimed.signals)

    assert await world.send(b"2") == NEW_TO_ONE


async def test_execution_with_two_waits_on_one_topic_is_counted_once(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.look(started, "wait")
    await world.look(started, "wait#2")

    assert await world.send() == NEW_TO_ONE


async def test_wait_that_lost_an_event_to_its_sibling_waits_for_the_next_one(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.look(started, "wait")
    await world.look(started, "wait#2")
    await world.send(b"1")
    first = await world.look(started, "wait")
    assert first is not None
    await world.flush(session, checkpoints=[checkpoint(started, "wait", kind=Kind.WAIT)])
    assert await world.look(started, "wait#2", position=first.number) is None

    assert await world.send(b"2") == NEW_TO_ONE


async def test_wait_whose_time_is_over_is_not_counted(world: World) -> None:
    """F45: it takes no event that was sent after its end, even if nobody has noticed that yet."""
    session = await world.worker()
    await world.waiting(session, until=world.store.now() + MINUTE)
    in_time = await world.waiting(session, until=world.store.now() + HOUR)

    world.advance(2 * MINUTE)

    assert await world.send() == NEW_TO_ONE
    assert (await world.see(in_time)).status is Status.PENDING


async def test_execution_that_is_being_cancelled_is_not_counted(world: World) -> None:
    session = await world.worker()
    waits = await world.waiting(session)
    await world.store.cancel(waits, reason="no longer needed")

    assert await world.send() == NEW_TO_NOBODY


@pytest.mark.parametrize("kind", [Kind.WAIT, Kind.FIRST])
async def test_wait_that_is_over_waits_no_longer(world: World, kind: Kind) -> None:
    """F48: whichever way it ended."""
    session = await world.worker()
    started = await world.running(session)
    await world.look(started, "over")
    await world.look(started, "over", name="sent")
    await world.flush(session, checkpoints=[checkpoint(started, "over", kind=kind)])

    assert await world.send() == NEW_TO_NOBODY
    assert await world.send(name="sent") == NEW_TO_NOBODY


async def test_checkpoint_of_another_call_ends_no_wait(world: World) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.look(started, "wait")
    rows = [checkpoint(started, "wait", kind=Kind.STEP), checkpoint(started, "wait#2", kind=Kind.WAIT)]
    await world.flush(session, checkpoints=rows)

    assert await world.send() == NEW_TO_ONE


@pytest.mark.parametrize("way", ["completes", "is cancelled", "crashes too often"])
async def test_execution_that_has_ended_waits_for_nothing(world: World, way: str) -> None:
    session = await world.worker()
    started = await world.running(session)
    await world.look(started)
    match way:
        case "completes":
            await world.end(session, started, DONE)
        case "is cancelled":
            await world.store.cancel(started, reason="at once", force=True)
        case _:
            world.advance(HOUR)
            world.reap(max_crashes=1)

    assert await world.send() == NEW_TO_NOBODY
    assert await world.look(started, "late", to=address(key="late")) is None
    assert await world.send(to=address(key="late")) == NEW_TO_NOBODY


async def test_stale_worker_ends_no_wait_of_its_successor(world: World) -> None:
    """F1: what it would store is refused, and so is what would follow from it."""
    stale = await world.worker()
    started = await world.running(stale)
    world.advance(HOUR)
    world.reap()
    stale = await world.worker("stale:1")
    await world.claimed_ids(await world.worker())
    await world.look(started)

    flushed = await world.flush(stale, checkpoints=[checkpoint(started, "wait", kind=Kind.WAIT)])

    assert flushed.refused == {started}
    assert await world.send() == NEW_TO_ONE


# --- hints --------------------------------------------------------------------------------------------------------


async def test_event_that_somebody_waits_for_wakes_an_idle_worker(world: World) -> None:
    session = await world.worker()
    await world.waiting(session)
    await world.store.set_idle(session, is_idle=True)
    hints = Hints(world.store)

    await world.send()

    assert await hints.next() == "work"


async def test_event_that_nobody_is_parked_for_wakes_no_worker(world: World) -> None:
    """F43."""
    session = await world.worker()
    await world.look(await world.running(session))
    awaited = await world.start(delay_seconds=60)
    await world.store.set_idle(session, is_idle=True)  # only now, so that the start has sent no hint
    await world.store.watch([awaited])
    hints = Hints(world.store)

    await world.send()
    await world.send(name="sent")

    await world.store.cancel(awaited, reason="so that a hint is heard")
    heard = [await hints.next() for _ in range(1 + (not hints.is_empty()))]
    assert "done" in heard
    assert "work" not in heard[: heard.index("done")]


async def test_events_of_one_instant_have_different_places(world: World) -> None:
    started = await world.start()
    for _ in range(100):
        await world.send()

    numbers: list[int] = []
    while event := await world.look(started, position=numbers[-1] if numbers else 0):
        numbers.append(event.number)

    assert len(set(numbers)) == 100


async def test_look_of_nobody_waits_for_nothing(world: World) -> None:
    ghost: ExecutionId = unknown()

    assert await world.look(ghost, since=world.store.now() - timedelta(days=1)) is None

    assert await world.send() == NEW_TO_NOBODY


async def test_call_that_waits_for_one_topic_hears_of_it_when_it_asks_for_another(world: World) -> None:
    session = await world.worker()
    id = await world.running(session)
    paid = Look(id, "wait", "paid", "k:1", 0, world.store.now() - HOUR, among=(("paid", "k:1"),))
    refunded = paid._replace(name="refunded", among=(("refunded", "k:1"), ("paid", "k:2")))
    both = refunded._replace(among=(("refunded", "k:1"), ("paid", "k:1")))
    await world.store.send(NewEvent("refunded", "k:1", b"1"))
    assert await world.store.look([paid]) == [None]

    assert await world.store.look([refunded]) == [Elsewhere("paid", "k:1")]
    assert payload_of((await world.store.look([both]))[0]) == b"1"
    assert payload_of((await world.store.look([refunded._replace(among=None)]))[0]) == b"1"
    assert payload_of((await world.store.look([refunded._replace(key="another wait")]))[0]) == b"1"
    assert await world.store.look([paid]) == [None]
