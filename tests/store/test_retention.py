"""Removing what ended long ago, in pieces that wait for nobody and that nobody waits for."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from stepwell.core.events import NOBODY, address
from stepwell.core.model import Batch, Ending, Event, ExecutionId, FailedAttempt, Filter, Look, NewChild, NewEvent
from stepwell.core.status import Status
from stepwell.store.identity import new_id
from tests.store.world import DAY, DONE, FAILED, HOUR, STOPPED, PostgresWorld, World, checkpoint, execution

MONTH = 30 * DAY
TABLES = ("execution", "checkpoint", "attempt", "searchable", "leftover", "topic", "event", "wait")


async def keep_house(world: World, **keep: timedelta) -> None:
    """Do all the upkeep there is to do."""
    store = world.store
    while any([await store.remove(keep), await store.remove_events(MONTH), await store.sweep()]):
        continue


async def left(world: World) -> set[ExecutionId]:
    return {one.id for one in await world.store.list(Filter(), limit=1_000)}


def rows(world: PostgresWorld, table: str) -> int:
    with psycopg.connect(world.url) as raw:
        row = raw.execute(f"select count(*) from stepwell.{table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("outcome", [DONE, FAILED, STOPPED])
async def test_execution_goes_when_it_ended_longer_ago_than_it_is_kept(world: World, outcome: object) -> None:
    old = await world.ended(outcome)  # type: ignore[arg-type]
    world.advance(MONTH - HOUR)
    await keep_house(world, order=MONTH)
    assert await left(world) == {old}

    world.advance(2 * HOUR)
    await keep_house(world, order=MONTH)

    assert await left(world) == set()
    assert await world.store.get(old) is None
    assert await world.keys(old) == []


async def test_what_has_not_ended_stays_however_old(world: World) -> None:
    session = await world.worker(lease_for=400 * DAY)
    asleep, runs, ready = await world.running(session), await world.running(session), await world.start()
    await world.suspend(session, asleep, for_=300 * DAY)
    world.advance(200 * DAY)

    await keep_house(world, order=MONTH)

    assert await left(world) == {asleep, runs, ready}


async def test_end_counts_not_the_beginning(world: World) -> None:
    session = await world.worker(lease_for=400 * DAY)
    slow = await world.running(session)
    world.advance(200 * DAY)
    await world.end(session, slow, FAILED)

    await keep_house(world, order=MONTH)

    assert await left(world) == {slow}


async def test_execution_that_is_tried_again_is_kept_from_its_new_end(world: World) -> None:
    again = await world.ended(FAILED)
    world.advance(20 * DAY)
    await world.store.reopen(again)
    world.advance(20 * DAY)
    await keep_house(world, order=MONTH)
    assert await left(world) == {again}

    session = await world.worker()
    await world.claim_one(session)
    await world.end(session, again)
    world.advance(20 * DAY)
    await keep_house(world, order=MONTH)

    assert await left(world) == {again}


async def test_each_workflow_is_kept_as_long_as_it_says(world: World) -> None:
    """One that nobody has a word for is kept."""
    ids = {name: await world.ended(DONE, workflow=name) for name in ("order",)}
    session = await world.worker(workflows=("short", "long", "forever"))
    for name in ("short", "long", "forever"):
        ids[name] = await world.start(workflow=name)
    await world.claim(session, workflows=("short", "long", "forever"))
    await world.flush(session, endings=[Ending(ids[name], DONE) for name in ("short", "long", "forever")])
    world.advance(2 * DAY)

    await keep_house(world, short=DAY, long=90 * DAY)

    assert await left(world) == {ids["order"], ids["long"], ids["forever"]}


async def test_key_of_a_removed_execution_is_free_again(world: World) -> None:
    old = await world.ended(DONE, key="k")
    world.advance(31 * DAY)
    await keep_house(world, order=MONTH)

    (created,) = await world.store.create([execution(key="k", input=b"other")])

    assert created.is_new
    assert created.id != old


# --- parents and children ---------------------------------------------------------------------------------------------


async def _family(world: World, outcome: object) -> tuple[ExecutionId, ExecutionId]:
    """A parent that ends in this way (None: not at all), and its child, which has completed."""
    session = await world.worker(lease_for=400 * DAY)
    parent = await world.running(session)
    child = NewChild(ExecutionId(new_id()), "order", "default", b"{}", parent, "call", is_called=True)
    await world.store.flush(session, Batch(children=[child]))
    await world.claim_one(session)
    await world.end(session, child.id)
    if outcome is not None:
        await world.end(session, parent, outcome)  # type: ignore[arg-type]
    return parent, child.id


@pytest.mark.parametrize("outcome", [None, FAILED])
async def test_child_stays_while_its_parent_may_still_go_on(world: World, outcome: object) -> None:
    """The parent may ask for its result: it runs, or somebody tries it again."""
    parent, child = await _family(world, outcome)
    world.advance(31 * DAY)

    await keep_house(world, order=60 * DAY if outcome else MONTH)
    world.advance(HOUR)
    await keep_house(world, order=60 * DAY if outcome else MONTH)

    assert await left(world) == {parent, child}


async def test_child_of_a_kept_parent_that_completed_goes_in_its_own_time(world: World) -> None:
    session = await world.worker(workflows=("order", "part"), lease_for=400 * DAY)
    parent = await world.running(session)
    child = NewChild(ExecutionId(new_id()), "part", "default", b"{}", parent, "call", is_called=True)
    await world.store.flush(session, Batch(children=[child]))
    await world.claim(session, workflows=("part",))
    await world.flush(session, endings=[Ending(child.id, DONE)])
    await world.end(session, parent)
    world.advance(31 * DAY)

    await keep_house(world, part=MONTH)

    assert await left(world) == {parent}


async def test_parent_may_go_before_its_child(world: World) -> None:
    session = await world.worker(lease_for=400 * DAY)
    parent = await world.running(session)
    child = NewChild(ExecutionId(new_id()), "order", "default", b"{}", parent, "start", is_called=False)
    await world.store.flush(session, Batch(children=[child]))
    await world.end(session, parent)
    world.advance(31 * DAY)

    await keep_house(world, order=MONTH)

    assert await left(world) == {child.id}
    assert (await world.see(child.id)).parent_id == parent


async def test_family_goes_together_in_the_end(world: World) -> None:
    await _family(world, FAILED)
    world.advance(31 * DAY)

    await keep_house(world, order=MONTH)
    await keep_house(world, order=MONTH)

    assert await left(world) == set()


# --- events -----------------------------------------------------------------------------------------------------------


async def test_old_events_go_unless_somebody_waits_for_their_topic(world: World) -> None:
    session = await world.worker(lease_for=400 * DAY)
    waiting, looking = await world.running(session), await world.running(session)
    for key in ("waited", "over"):
        await world.store.send(NewEvent("paid", address(key=key), b"1"))
    since = world.store.now() - DAY
    await world.store.look([Look(waiting, "w", "paid", address(key="waited"), 10**18, since)])
    world.advance(31 * DAY)
    await world.store.send(NewEvent("paid", address(key="fresh"), b"2"))

    await keep_house(world)

    looks = [Look(looking, key, "paid", address(key=key), 0, since - 40 * DAY) for key in ("waited", "over", "fresh")]
    found = await world.store.look(looks)
    assert [one.payload if isinstance(one, Event) else None for one in found] == [b"1", None, b"2"]


async def test_reader_of_a_removed_event_gets_the_next_one(world: World) -> None:
    """The topic is begun anew, and its places go on where they were."""
    session = await world.worker(lease_for=400 * DAY)
    reader, topic, long_ago = await world.running(session), address(key="k"), world.store.now() - 90 * DAY
    await world.store.send(NewEvent("paid", topic, b"1"))
    (first,) = await world.store.look([Look(reader, "w", "paid", topic, 0, long_ago)])
    assert isinstance(first, Event)
    world.advance(31 * DAY)
    await keep_house(world)
    await world.store.send(NewEvent("paid", topic, b"2"))

    (found,) = await world.store.look([Look(reader, "w#2", "paid", topic, first.number, long_ago)])

    assert isinstance(found, Event)
    assert found.payload == b"2"


async def test_events_sent_to_one_execution_live_as_long_as_it(world: World) -> None:
    session = await world.worker(lease_for=400 * DAY)
    runs = await world.running(session)
    await world.store.send(NewEvent("paid", address(execution_id=runs), b"1"))
    world.advance(31 * DAY)
    await keep_house(world, order=MONTH)

    look = Look(runs, "w", "paid", address(execution_id=runs), 0, world.store.now() - 90 * DAY)
    (found,) = await world.store.look([look])

    assert found is not None


async def test_removed_execution_leaves_nothing_behind(postgres: PostgresWorld) -> None:
    session = await postgres.worker(lease_for=400 * DAY)
    runs = await postgres.running(session, tags=("eu",))
    await postgres.store.send(NewEvent("paid", address(execution_id=runs), b"1"))
    own = address(execution_id=runs)
    await postgres.store.look([Look(runs, "w", "other", own, 0, postgres.store.now() - DAY)])
    await postgres.store.send(NewEvent("paid", NOBODY, b"1"))
    retry_at = postgres.store.now()
    await postgres.flush(
        session,
        checkpoints=[checkpoint(runs, f"step-{n}") for n in range(5)],
        attempts=[FailedAttempt(runs, "call", n, retry_at, b"e") for n in range(3)],
    )
    await postgres.end(session, runs)
    await postgres.store.make_searchable()
    postgres.advance(31 * DAY)

    await keep_house(postgres, order=MONTH)

    assert {table: rows(postgres, table) for table in TABLES} == dict.fromkeys(TABLES, 0)


# --- pieces -----------------------------------------------------------------------------------------------------------


async def _ended(postgres: PostgresWorld, count: int, *, steps: int = 1, size: int = 10) -> list[ExecutionId]:
    session = await postgres.worker()
    new = [execution() for _ in range(count)]
    await postgres.store.create(new)
    await postgres.claim(session)
    await postgres.flush(
        session,
        checkpoints=[checkpoint(one.id, f"step-{n:05}", b"x" * size) for one in new for n in range(steps)],
        endings=[Ending(one.id, DONE) for one in new],
    )
    postgres.advance(31 * DAY)
    return [one.id for one in new]


async def test_executions_go_in_pieces(postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.store.upkeep.REMOVED_AT_ONCE", 4)
    await _ended(postgres, 10)

    there_is_more = [await postgres.store.remove({"order": MONTH}) for _ in range(3)]

    assert there_is_more == [True, True, False]
    assert await left(postgres) == set()


async def test_steps_of_a_large_execution_go_in_pieces(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The execution is gone at once: nobody can take it up without its steps."""
    monkeypatch.setattr("stepwell.store.upkeep.SWEPT_ROWS", 40)
    (large,) = await _ended(postgres, 1, steps=100)
    await postgres.store.remove({"order": MONTH})
    assert await postgres.store.get(large) is None

    counts, there_is_more = [], True
    while there_is_more:
        there_is_more = await postgres.store.sweep()
        counts.append(rows(postgres, "checkpoint"))

    assert counts == [60, 20, 0]
    assert rows(postgres, "leftover") == 0


async def test_large_values_go_in_smaller_pieces(postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.store.upkeep.SWEPT_BYTES", 1_000)
    await _ended(postgres, 1, steps=10, size=400)
    await postgres.store.remove({"order": MONTH})

    await postgres.store.sweep()

    assert rows(postgres, "checkpoint") == 7


async def test_removing_waits_for_no_locked_row(postgres: PostgresWorld) -> None:
    """Somebody holds an execution and what another one has left: those stay until the next time."""
    held, other = await _ended(postgres, 2)
    with psycopg.connect(postgres.url) as raw:
        raw.execute("select from stepwell.execution where id = %s for update", [held])
        await postgres.store.remove({"order": MONTH})
        assert await left(postgres) == {held}
        raw.execute("select from stepwell.leftover where execution_id = %s for update", [other])
        assert not await postgres.store.sweep()
        assert rows(postgres, "checkpoint") == 2

    await keep_house(postgres, order=MONTH)

    assert rows(postgres, "checkpoint") == 0


async def test_entering_words_waits_for_no_other_worker(postgres: PostgresWorld) -> None:
    ended = await postgres.ended(DONE)
    with psycopg.connect(postgres.url) as raw:
        raw.execute("select from stepwell.upkeep for update")
        assert not await postgres.store.make_searchable()
        assert rows(postgres, "searchable") == 0

    await postgres.store.make_searchable()

    assert rows(postgres, "searchable") == 1
    assert [one.id for one in await postgres.store.list(Filter(text="done"), limit=5)] == [ended]


async def test_execution_that_is_tried_again_just_then_is_kept_whole(postgres: PostgresWorld) -> None:
    """The retry holds its row when the removal comes by."""
    postgres_session = await postgres.worker()
    failed = await postgres.running(postgres_session)
    await postgres.flush(postgres_session, checkpoints=[checkpoint(failed)], endings=[Ending(failed, FAILED)])
    postgres.advance(31 * DAY)
    with psycopg.connect(postgres.url) as raw:
        raw.execute("update stepwell.execution set status = 'pending', due_at = now(), finished_at = null")
        await keep_house(postgres, order=MONTH)

    await keep_house(postgres, order=MONTH)

    assert (await postgres.see(failed)).status is Status.PENDING
    assert await postgres.keys(failed) == ["fetch"]
