"""Schedules are declared, decided once whoever decides, paused and switched off; on memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from stepwell.core.model import ExecutionId, Filter, NewExecution
from stepwell.core.schedule import CatchUp, Decision, Overlap, Policy, Schedule, ScheduleSpec, Tick
from stepwell.core.status import Status
from stepwell.core.timing import Cron, Every
from stepwell.store import binary
from stepwell.store.identity import new_id
from stepwell.store.postgres import PostgresStore
from tests.store.racing import Call, Racer, answer_of
from tests.store.world import HOUR, MINUTE, SIGNAL_SECONDS, Hints, PostgresWorld, World

HOURLY = ScheduleSpec("hourly", "order", "default", Every(HOUR))
QUEUED = Policy(overlap=Overlap.QUEUE)


async def declare(world: World, *specs: ScheduleSpec, workflows: Sequence[str] = ("order",)) -> None:
    await world.store.catalog.apply_schedules(specs, workflows=workflows)


async def see(world: World, schedule_id: str = "hourly") -> Schedule:
    found = await world.store.catalog.schedule(schedule_id)
    assert found is not None
    return found[1]


async def due(world: World) -> list[str]:
    return [one.id for one in (await world.store.catalog.due_schedules(["order"])).due]


def tick(schedule: Schedule, at: datetime, delay: timedelta = timedelta(0)) -> NewExecution:
    """The execution that the tick starts."""
    key = Tick(schedule.id, at).key
    return NewExecution(ExecutionId(new_id()), "order", b"{}", key=key, delay_seconds=delay.total_seconds())


def decision(*ticks: datetime, now: datetime, next_in: timedelta | None = HOUR, note: str | None = None) -> Decision:
    start = [Tick("hourly", at) for at in ticks]
    return Decision(start, (), decided_at=now, next_at=now + next_in if next_in is not None else None, note=note)


async def fire(world: World, schedule: Schedule, *ticks: datetime, **changes: Any) -> bool:
    """Start these ticks."""
    made = decision(*ticks, now=world.store.now(), **changes)
    return await world.store.catalog.fire(schedule, made, [tick(schedule, at) for at in ticks])


async def started(world: World) -> list[str | None]:
    """The keys of all executions, the oldest first."""
    return [one.key for one in reversed(await world.store.list(Filter(), limit=1_000))]


# --- declaring ----------------------------------------------------------------------------------------------------


async def test_declared_schedule_is_to_be_looked_at_at_once(world: World) -> None:
    await declare(world, HOURLY)

    (one,) = await world.store.catalog.schedules()
    assert (one.id, one.workflow, one.queue, one.timing, one.policy) == (
        "hourly", "order", "default", Every(HOUR), Policy()
    )  # fmt: skip
    assert (one.state, one.last_at, one.note, one.unfinished) == ("active", None, None, ())
    assert await due(world) == ["hourly"]


async def test_every_part_of_a_declaration_comes_back(world: World) -> None:
    policy = Policy(CatchUp.ALL, 7, Overlap.ALLOW, 1.5 * MINUTE)
    spec = ScheduleSpec("nightly", "order", "reports", Cron("0 6 * * 1-5", "Europe/Brussels"), policy, "tick")

    await declare(world, spec)

    one = await see(world, "nightly")
    assert ScheduleSpec(one.id, one.workflow, one.queue, one.timing, one.policy, one.parameter) == spec


async def test_declaring_the_same_again_changes_nothing(world: World) -> None:
    await declare(world, HOURLY)
    await fire(world, await see(world))
    before = await see(world)

    await declare(world, HOURLY)

    assert await see(world) == before
    assert await due(world) == []


async def test_changed_time_counts_from_now_and_keeps_the_last_tick(world: World) -> None:
    await declare(world, HOURLY)
    at = world.store.now()
    await fire(world, await see(world), at)
    before = await see(world)
    world.advance(3 * HOUR)

    await declare(world, replace(HOURLY, timing=Every(2 * HOUR)))

    one = await see(world)
    assert (one.timing, one.revision) == (Every(2 * HOUR), before.revision + 1)
    assert one.last_at is not None
    assert one.decided_at - one.last_at >= 3 * HOUR
    assert await due(world) == ["hourly"]


async def test_changed_policy_leaves_what_is_not_yet_decided(world: World) -> None:
    """F93: what was missed before the deploy is made up by the rule that the deploy brings."""
    await declare(world, HOURLY)
    await fire(world, await see(world))
    world.advance(3 * HOUR)
    before = await see(world)

    await declare(world, replace(HOURLY, policy=QUEUED))

    one = await see(world)
    assert (one.policy, one.decided_at) == (QUEUED, before.decided_at)


async def test_schedule_that_is_no_longer_declared_is_switched_off_and_kept(world: World) -> None:
    await declare(world, HOURLY)
    await fire(world, await see(world), world.store.now())
    world.advance(2 * HOUR)

    await declare(world)

    one = await see(world)
    assert (one.state, one.next_at, one.note) == ("off", None, "no longer declared by the code")
    assert one.last_at is not None
    assert await due(world) == []


async def test_schedule_of_a_workflow_that_the_process_does_not_have_stays_on(world: World) -> None:
    await declare(world, HOURLY)

    await declare(world, workflows=["invoice"])

    assert (await see(world)).state == "active"


async def test_schedule_that_is_declared_again_begins_anew(world: World) -> None:
    await declare(world, HOURLY)
    await declare(world)
    world.advance(5 * HOUR)

    await declare(world, HOURLY)

    one = await see(world)
    assert (one.state, one.note) == ("active", None)
    assert world.store.now() - one.decided_at < MINUTE
    assert await due(world) == ["hourly"]


async def test_schedule_may_move_to_another_workflow(world: World) -> None:
    await declare(world, HOURLY)

    await declare(world, replace(HOURLY, workflow="invoice"), workflows=["invoice"])
    await declare(world)

    assert ((await see(world)).workflow, (await see(world)).state) == ("invoice", "active")


async def test_ten_processes_that_declare_at_once_agree(postgres: PostgresWorld) -> None:
    """F95."""
    specs = [replace(HOURLY, id=f"s{number}") for number in range(20)]
    stores = [PostgresStore(postgres.url) for _ in range(10)]

    applying = [
        store.catalog.apply_schedules(Random(number).sample(specs, 20 - number % 2), workflows=["order"])
        for number, store in enumerate(stores)
    ]
    async with asyncio.timeout(SIGNAL_SECONDS):
        await asyncio.gather(*applying)
    await declare(postgres, *specs)

    assert [one.id for one in await postgres.store.catalog.schedules()] == sorted(spec.id for spec in specs)
    assert {one.state for one in await postgres.store.catalog.schedules()} == {"active"}
    for store in stores:
        await store.close()


# --- deciding -----------------------------------------------------------------------------------------------------


async def test_tick_that_is_fired_is_an_execution_of_the_schedule(world: World) -> None:
    await declare(world, replace(HOURLY, queue="reports"))
    at = world.store.now()

    assert await fire(world, await see(world), at)

    (one,) = await world.store.list(Filter(), limit=10)
    assert (one.workflow, one.queue, one.key, one.status) == (
        "order",
        "reports",
        Tick("hourly", at).key,
        Status.PENDING,
    )
    assert (await see(world)).unfinished == (one.id,)
    assert (await see(world)).last_at == at


async def test_decision_that_starts_nothing_keeps_the_last_tick(world: World) -> None:
    await declare(world, HOURLY)
    at = world.store.now()
    await fire(world, await see(world), at)

    await fire(world, await see(world), note="skipped one")

    assert ((await see(world)).last_at, (await see(world)).note) == (at, "skipped one")


async def test_jitter_is_a_later_due_time(world: World) -> None:
    await declare(world, HOURLY)
    one, now = await see(world), world.store.now()

    await world.store.catalog.fire(one, decision(now, now=now), [tick(one, now, 5 * MINUTE)])

    (shown,) = await world.store.list(Filter(), limit=10)
    assert shown.due_at is not None
    assert shown.due_at - shown.created_at == 5 * MINUTE


async def test_schedule_is_due_again_when_its_next_look_has_come(world: World) -> None:
    await declare(world, HOURLY)
    await fire(world, await see(world))

    answer = await world.store.catalog.due_schedules(["order"])
    assert answer.due == []
    assert answer.next_at == (await see(world)).next_at
    world.advance(HOUR)
    assert await due(world) == ["hourly"]


async def test_only_schedules_of_the_workflows_asked_for_are_due(world: World) -> None:
    await declare(world, HOURLY)

    answer = await world.store.catalog.due_schedules(["invoice"])

    assert (answer.due, answer.next_at, answer.is_waiting) == ([], None, False)


async def test_second_decision_about_the_same_row_starts_nothing(world: World) -> None:
    """F91, I10."""
    await declare(world, HOURLY)
    read, at = await see(world), world.store.now()

    assert [await fire(world, read, at), await fire(world, read, at)] == [True, False]
    assert await started(world) == [Tick("hourly", at).key]


@pytest.mark.parametrize("change", ["pause", "declare", "off"])
async def test_decision_about_a_row_that_has_changed_since_starts_nothing(world: World, change: str) -> None:
    await declare(world, HOURLY)
    read = await see(world)
    match change:
        case "pause":
            await world.store.catalog.pause_schedule("hourly", reason="holidays")
        case "declare":
            await declare(world, replace(HOURLY, policy=QUEUED))
        case "off":
            await declare(world)

    assert not await fire(world, read, world.store.now())
    assert await started(world) == []


async def test_tick_whose_key_is_taken_starts_nothing_a_second_time(world: World) -> None:
    """I10: whatever else goes wrong, a tick has one execution."""
    await declare(world, HOURLY)
    at = world.store.now()
    earlier = await world.start(key=Tick("hourly", at).key)

    assert await fire(world, await see(world), at)

    assert [one.id for one in await world.store.list(Filter(), limit=10)] == [earlier]


async def test_queued_tick_is_not_due_while_an_execution_of_the_schedule_has_not_ended(world: World) -> None:
    await declare(world, replace(HOURLY, policy=QUEUED))
    await fire(world, await see(world), world.store.now(), next_in=timedelta(0))
    session = await world.worker()

    waiting = await world.store.catalog.due_schedules(["order"])
    claimed = await world.claim_one(session)
    await world.end(session, claimed.id)
    released = await world.store.catalog.due_schedules(["order"])

    assert (waiting.due, waiting.is_waiting) == ([], True)
    assert ([one.id for one in released.due], released.is_waiting) == (["hourly"], False)


async def test_execution_that_has_ended_is_no_longer_counted(world: World) -> None:
    await declare(world, HOURLY)
    await fire(world, await see(world), world.store.now())
    session = await world.worker()
    claimed = await world.claim_one(session)

    assert (await see(world)).running == 1
    await world.end(session, claimed.id)
    assert (await see(world)).running == 0


async def test_fire_wakes_an_idle_worker(world: World) -> None:
    await declare(world, HOURLY)
    await world.store.set_idle(await world.worker(), is_idle=True)
    hints = Hints(world.store)
    while (read := await see(world)) and not hints.is_empty():
        await hints.next()

    await fire(world, read, world.store.now())

    while await hints.next() != "work":
        pass


# --- pausing ------------------------------------------------------------------------------------------------------


async def test_paused_schedule_is_never_due(world: World) -> None:
    await declare(world, HOURLY)

    assert await world.store.catalog.pause_schedule("hourly", reason="holidays")

    one = await see(world)
    assert (one.state, one.next_at, one.note) == ("paused", None, "holidays")
    world.advance(5 * HOUR)
    assert await due(world) == []


async def test_first_pause_stays_on_record(world: World) -> None:
    await declare(world, HOURLY)
    await world.store.catalog.pause_schedule("hourly", reason="holidays")
    paused_at = (await see(world)).paused_at

    await world.store.catalog.pause_schedule("hourly", reason="again")

    assert ((await see(world)).paused_at, (await see(world)).note) == (paused_at, "holidays")


async def test_resumed_schedule_goes_on_from_now(world: World) -> None:
    """Ticks while it was paused are not made up."""
    await declare(world, HOURLY)
    await fire(world, await see(world))
    await world.store.catalog.pause_schedule("hourly", reason="holidays")
    world.advance(5 * HOUR)

    assert await world.store.catalog.resume_schedule("hourly")

    one = await see(world)
    assert (one.state, one.note) == ("active", None)
    assert world.store.now() - one.decided_at < MINUTE
    assert await due(world) == ["hourly"]


async def test_resuming_what_is_not_paused_loses_no_tick(world: World) -> None:
    await declare(world, HOURLY)
    await fire(world, await see(world))
    before = await see(world)

    await world.store.catalog.resume_schedule("hourly")

    after = await see(world)
    assert (after.decided_at, after.next_at) == (before.decided_at, before.next_at)


async def test_pause_outlives_a_new_declaration(world: World) -> None:
    await declare(world, HOURLY)
    await world.store.catalog.pause_schedule("hourly", reason="holidays")

    await declare(world, replace(HOURLY, timing=Every(2 * HOUR)))

    one = await see(world)
    assert (one.state, one.next_at, one.note) == ("paused", None, "holidays")


async def test_schedule_that_is_switched_off_stays_so_when_it_is_resumed(world: World) -> None:
    await declare(world, HOURLY)
    await world.store.catalog.pause_schedule("hourly", reason="holidays")
    await declare(world)

    await world.store.catalog.resume_schedule("hourly")

    one = await see(world)
    assert (one.state, one.paused_at, one.next_at, one.note) == ("off", None, None, "no longer declared by the code")


async def test_unknown_schedule_is_told(world: World) -> None:
    assert await world.store.catalog.schedule("nobody") is None
    assert not await world.store.catalog.pause_schedule("nobody", reason="")
    assert not await world.store.catalog.resume_schedule("nobody")


async def test_change_of_a_schedule_tells_those_who_look(world: World) -> None:
    hints = Hints(world.store)

    await declare(world, HOURLY)

    while await hints.next() != "schedule":
        pass


# --- many who decide ----------------------------------------------------------------------------------------------


@pytest.fixture
def racers(postgres: PostgresWorld) -> Iterator[list[Racer]]:
    racers = [Racer(postgres.url) for _ in range(2)]
    yield racers
    for racer in racers:
        racer.close()


def firing(one: Schedule, key: str) -> Call:
    """The statement that starts an execution for this schedule as it was read."""
    now = binary.timestamptz(one.decided_at)
    new = [binary.uuids([new_id()]), binary.texts([key]), binary.byteas([b"{}"]), binary.float8s([0.0])]
    return Call("fire", [one.id.encode(), binary.int8(one.revision), now, now, now, b"", *new])


async def test_decision_that_waits_for_another_one_starts_nothing(postgres: PostgresWorld, racers: list[Racer]) -> None:
    """F91, F32."""
    await declare(postgres, HOURLY)
    read = await see(postgres)
    first, second = racers

    with first.transaction():
        first.run(firing(read, "first"))
        waiting = second.start_and_block(firing(read, "second"))

    assert answer_of(waiting)[0][0] == 0
    assert await started(postgres) == ["first"]


async def test_without_the_revision_both_decide(postgres: PostgresWorld, racers: list[Racer]) -> None:
    """The negative control."""
    await declare(postgres, HOURLY)
    read = await see(postgres)
    first, second = racers
    blind = firing(read, "second").with_(b"$2::int8 is not null", instead_of=b"s.revision = $2::int8")

    with first.transaction():
        first.run(firing(read, "first"))
        waiting = second.start_and_block(blind)

    assert answer_of(waiting)[0][0] == 1
    assert await started(postgres) == ["first", "second"]


async def test_of_three_schedulers_that_decide_a_thousand_times_one_fires_each_tick(postgres: PostgresWorld) -> None:
    """F91, I10: each looks at random moments, and decides on what it has read."""
    await declare(postgres, HOURLY)
    first = (await see(postgres)).decided_at
    stores = [PostgresStore(postgres.url) for _ in range(3)]
    rounds = 334

    async def look(store: PostgresStore, random: Random) -> int:
        fired = 0
        for _ in range(rounds):
            known = await store.catalog.schedule("hourly")
            assert known is not None
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)
            at = (known[1].last_at or first) + timedelta(seconds=1)
            made = Decision([Tick("hourly", at)], (), at, at, None)
            fired += await store.catalog.fire(known[1], made, [tick(known[1], at)])
        return fired

    fired = await asyncio.gather(*[look(store, Random(number)) for number, store in enumerate(stores)])
    for store in stores:
        await store.close()

    with psycopg.connect(postgres.url) as connection:
        rows = connection.execute("select key from stepwell.execution order by key").fetchall()
    assert sum(fired) < 3 * rounds, "nobody met anybody"
    assert [key for (key,) in rows] == sorted(
        Tick("hourly", first + timedelta(seconds=n)).key for n in range(1, sum(fired) + 1)
    )
