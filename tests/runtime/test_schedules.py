"""A worker starts what the clock starts: in time, once, and whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell import App, Execution, InvalidOption, Status, Step, Tick, UnknownSchedule, cron, every
from stepwell.core.schedule import DueSchedules
from stepwell.core.timing import Cron
from stepwell.errors import DatabaseUnavailable
from stepwell.runtime.scheduler import LOOK_EVERY, Scheduler
from stepwell.store.memory import MemoryStore
from tests.runtime.lab import HOUR, MINUTE, SECOND, SIGNAL_SECONDS, Gate, Lab

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """It is noon, and time passes only when a test says so."""
    lab.store.clock.set(NOON)
    lab.store.is_hurried = False
    return lab


@asynccontextmanager
async def working(lab: Lab, app: App | None = None) -> AsyncIterator[None]:
    """A worker that has looked at its schedules."""
    chosen = app or lab.app
    await lab.store.catalog.apply_schedules(chosen.registry.schedules, workflows=chosen.registry.names)
    async with lab.worker():
        await settled(lab)
        yield


async def until(lab: Lab, is_met: Callable[[DueSchedules, Sequence[Execution]], bool]) -> Sequence[Execution]:
    """The executions, the oldest first, as soon as the condition is met by them and by what is still to be decided."""
    async with asyncio.timeout(SIGNAL_SECONDS):
        while True:
            found = (await lab.app.list(limit=1_000))[::-1]
            if is_met(await lab.store.catalog.due_schedules(lab.app.registry.names), found):
                return found
            await asyncio.sleep(0)


async def settled(lab: Lab) -> Sequence[Execution]:
    """All executions, once everything that is due has been decided and everything that was started has ended."""
    return await until(
        lab, lambda due, found: not due.due and not due.is_waiting and all(is_over(one) for one in found)
    )


async def decided(lab: Lab) -> Sequence[Execution]:
    """All executions, once everything that is due has been decided."""
    return await until(lab, lambda due, _: not due.due)


def is_over(execution: Execution) -> bool:
    return execution.status.is_final


async def pass_time(lab: Lab, *steps: timedelta) -> None:
    """Let time pass; after each step the worker does what it can."""
    for step in steps:
        lab.store.pass_time(step)
        await settled(lab)


def clockwork(lab: Lab, **options: Any) -> list[Tick]:
    """The ticks that an hourly workflow has been given."""
    seen: list[Tick] = []

    @lab.app.workflow(trigger=every("1h", **options))
    async def hourly(tick: Tick) -> None:
        seen.append(tick)

    return seen


# --- starting -----------------------------------------------------------------------------------------------------


async def test_each_tick_starts_one_execution_and_gives_it_the_planned_time(lab: Lab) -> None:
    seen = clockwork(lab)

    async with working(lab):
        await pass_time(lab, 59 * MINUTE, MINUTE + SECOND, HOUR)

    assert seen == [
        Tick("hourly", NOON + HOUR, None),
        Tick("hourly", NOON + 2 * HOUR, NOON + HOUR),
    ]


async def test_workflow_may_take_no_tick_and_have_defaults(lab: Lab) -> None:
    @lab.app.workflow(trigger=every("1h"))
    async def plain(account: str = "all", *, step: Step) -> str:
        return await step.run("work", lambda: account)

    async with working(lab):
        lab.store.pass_time(HOUR)
        (one,) = await settled(lab)

    assert await lab.app.result(one.id) == "all"


async def test_workflow_with_a_schedule_may_be_started_by_hand_as_well(lab: Lab) -> None:
    seen: list[Tick | None] = []

    @lab.app.workflow(trigger=every("1h"))
    async def report(tick: Tick | None = None) -> None:
        seen.append(tick)

    async with working(lab):
        await lab.result(await lab.app.start(report))
        await pass_time(lab, HOUR)

    assert seen == [None, Tick("report", NOON + HOUR)]


async def test_several_triggers_of_a_workflow_are_schedules_of_their_own(lab: Lab) -> None:
    seen: list[str] = []

    @lab.app.workflow(trigger=[every("1h"), cron("30 * * * *"), cron("@daily", id="nightly")])
    async def sync(tick: Tick) -> None:
        seen.append(tick.schedule)

    async with working(lab):
        await pass_time(lab, 30 * MINUTE, 30 * MINUTE)

    assert [one.id for one in await lab.app.schedules()] == ["nightly", "sync", "sync#2"]
    assert seen == ["sync#2", "sync"]


async def test_jitter_delays_the_execution_and_not_the_tick(lab: Lab) -> None:
    seen = clockwork(lab, jitter="10m")

    async with working(lab):
        lab.store.pass_time(HOUR)
        (one,) = await decided(lab)
        assert one.due_at is not None
        assert NOON + HOUR < one.due_at < NOON + HOUR + 10 * MINUTE
        await pass_time(lab, 10 * MINUTE)

    assert [tick.at for tick in seen] == [NOON + HOUR]


async def test_two_workers_start_each_tick_once(lab: Lab) -> None:
    """F91."""
    seen = clockwork(lab)

    async with working(lab), lab.worker(), lab.worker():
        await pass_time(lab, *[HOUR] * 5)

    assert [tick.at.hour for tick in seen] == [13, 14, 15, 16, 17]


# --- late and early -----------------------------------------------------------------------------------------------


async def test_ticks_while_no_worker_was_there_are_made_up_for(lab: Lab) -> None:
    """F93: down over five ticks."""
    seen = clockwork(lab, catch_up="all")
    async with working(lab):
        pass

    lab.store.clock.advance(5 * HOUR)
    async with working(lab):
        await pass_time(lab, SECOND)

    assert [tick.at.hour for tick in seen] == [13, 14, 15, 16, 17]


async def test_skipped_tick_is_told_and_the_next_one_starts(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow(trigger=every("1h"))
    async def slow(step: Step) -> None:
        await step.run("work", gate)

    async with working(lab):
        for _ in range(2):
            lab.store.pass_time(HOUR)
            await decided(lab)
        (one,) = await lab.app.schedules()
        assert one.note == "skipped 2030-01-01 14:00:00 UTC: the execution before it still ran"
        assert one.running == 1
        gate.let_go.set()
        await settled(lab)
        lab.store.pass_time(HOUR)

        assert len(await settled(lab)) == 2


async def test_queued_ticks_start_one_after_the_other(lab: Lab) -> None:
    """F94."""
    gates = [Gate() for _ in range(3)]
    at_once: list[int] = []

    @lab.app.workflow(trigger=every("1h", overlap="queue", catch_up="all"))
    async def slow(tick: Tick, step: Step) -> None:
        await step.run("work", gates[tick.at.hour - 13])

    async with working(lab):
        for _ in range(3):
            lab.store.pass_time(HOUR)
            await decided(lab)
        for gate in gates:
            async with asyncio.timeout(SIGNAL_SECONDS):
                await gate.begun.wait()
            at_once.append(sum(not is_over(one) for one in await decided(lab)))
            gate.let_go.set()
        await settled(lab)

    assert at_once == [1, 1, 1]


async def test_replace_cancels_what_runs(lab: Lab) -> None:
    @lab.app.workflow(trigger=every("1h", overlap="replace"))
    async def slow(tick: Tick, step: Step) -> None:
        if tick.at.hour == 13:
            await step.sleep("long", "90d")

    async with working(lab):
        lab.store.pass_time(HOUR)
        await until(lab, lambda _, found: bool(found) and found[0].due_at is not None and found[0].passes == 1)
        lab.store.pass_time(HOUR)
        first, second = await settled(lab)

    assert (first.status, second.status) == (Status.CANCELLED, Status.COMPLETED)
    assert first.why == "replaced by the next tick of schedule 'slow'"


# --- changes while it runs ----------------------------------------------------------------------------------------


async def test_paused_schedule_starts_nothing_until_it_is_resumed(lab: Lab) -> None:
    seen = clockwork(lab)

    async with working(lab):
        assert (await lab.app.pause_schedule("hourly", reason="holidays")).state == "paused"
        await pass_time(lab, 3 * HOUR)
        assert (await lab.app.resume_schedule("hourly")).state == "active"
        await pass_time(lab, HOUR)

    assert [tick.at.hour for tick in seen] == [16]


async def test_start_by_hand_runs_now_also_while_it_is_paused(lab: Lab) -> None:
    seen = clockwork(lab)

    async with working(lab):
        await lab.app.pause_schedule("hourly")
        handle = await lab.app.run_schedule("hourly")
        await lab.result(handle)

    assert seen == [Tick("hourly", NOON, None)]
    assert (await lab.app.schedules())[0].state == "paused"


async def test_unknown_schedule_is_told_with_those_there_are(lab: Lab) -> None:
    clockwork(lab)
    await lab.app.new_worker(lab.settings)

    for call in (lab.app.pause_schedule, lab.app.resume_schedule, lab.app.run_schedule):
        with pytest.raises(UnknownSchedule, match="'weekly'; there are: hourly"):
            await call("weekly")


async def test_schedule_that_the_code_no_longer_declares_is_switched_off(lab: Lab) -> None:
    seen = clockwork(lab)
    async with working(lab):
        pass
    other = App(lab.store)

    @other.workflow
    async def hourly(tick: Tick) -> None:
        seen.append(tick)

    async with working(lab, other):
        await pass_time(lab, 3 * HOUR)

    (one,) = await lab.app.schedules()
    assert (one.state, one.note, seen) == ("off", "no longer declared by the code", [])


async def test_schedule_that_is_declared_while_a_worker_waits_is_heard_of(lab: Lab) -> None:
    seen = clockwork(lab)

    async with working(lab):
        other = App(lab.store)

        @other.workflow(id="hourly", trigger=every("30m"))
        async def half_hourly(tick: Tick) -> None:
            seen.append(tick)

        await other.new_worker(lab.settings)
        await settled(lab)
        await pass_time(lab, 30 * MINUTE)

    assert [tick.at for tick in seen] == [NOON + 30 * MINUTE]


# --- trouble ------------------------------------------------------------------------------------------------------


class CountingStore(MemoryStore):
    """Counts how often it is asked what is due, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.set(NOON)
        self.looks, self.fails = 0, False
        ask = self.catalog.due_schedules

        async def due_schedules(workflows: Sequence[str]) -> DueSchedules:
            self.looks += 1
            if self.fails:
                raise DatabaseUnavailable("gone")
            return await ask(workflows)

        self.catalog.due_schedules = due_schedules  # type: ignore[method-assign]


async def counted(**options: Any) -> tuple[CountingStore, Scheduler]:
    """A store with an hourly schedule, and one who looks."""
    store = CountingStore()
    app = App(store)

    @app.workflow(trigger=every("1h", **options))
    async def hourly() -> None:
        return None

    await app.new_worker(Lab().settings)
    return store, Scheduler(store, app.registry.names)


async def test_scheduler_asks_no_more_than_four_times_a_minute() -> None:
    store, scheduler = await counted()

    for _ in range(60):
        await scheduler.tick()
        store.clock.advance(SECOND)

    assert store.looks <= MINUTE / LOOK_EVERY + 1


async def test_scheduler_looks_when_the_next_tick_comes() -> None:
    store, scheduler = await counted()
    await scheduler.tick()
    store.clock.set(NOON + HOUR - 3 * SECOND)
    await scheduler.tick()

    assert await scheduler.tick() == 3 * SECOND


async def test_scheduler_looks_again_after_an_error() -> None:
    store, scheduler = await counted()
    store.fails = True
    with pytest.raises(DatabaseUnavailable):
        await scheduler.tick()
    store.fails = False

    await scheduler.tick()

    assert store.looks == 2


async def test_schedule_that_cannot_be_read_here_keeps_no_other_waiting(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """F7: such as a time zone that this machine does not know."""
    seen = clockwork(lab)

    @lab.app.workflow(trigger=every("1h"))
    async def alien() -> None:
        return None

    async with working(lab):
        pass
    known = lab.store.catalog._schedules  # type: ignore[attr-defined]
    known["alien"] = replace(known["alien"], timing=Cron("0 * * * *", "Mars/Olympus"))
    lab.store.pass_time(HOUR)
    await Scheduler(lab.store, lab.app.registry.names).tick()
    async with lab.worker():
        await until(lab, lambda _, found: any(is_over(one) for one in found))

    assert len(seen) == 1
    assert "schedule 'alien' cannot be read here" in caplog.text


async def test_one_instant_is_decided_by_though_time_goes_on() -> None:
    """F96: a clock that jumps with every look at it, here over the tick."""
    store, scheduler = await counted(catch_up="none")
    await scheduler.tick()
    true_now, jumps = store.clock.now, iter([HOUR, HOUR])

    def jumping() -> datetime:
        store.clock.advance(next(jumps, timedelta(0)))
        return true_now()

    store.clock.now = jumping  # type: ignore[method-assign]
    for _ in range(5):
        await scheduler.tick()

    (one,) = await store.catalog.schedules()
    assert one.next_at == NOON + 3 * HOUR
    assert one.decided_at == NOON + 2 * HOUR


# --- what is refused ----------------------------------------------------------------------------------------------


async def test_parameter_that_no_tick_can_fill_is_refused_where_it_is_written(lab: Lab) -> None:
    with pytest.raises(InvalidOption, match=r"'sync' is started by a schedule.*\$.account is missing"):

        @lab.app.workflow(trigger=every("1h"))
        async def sync(account: str) -> None:
            return None


async def test_two_schedules_of_one_name_are_refused(lab: Lab) -> None:
    clockwork(lab)

    with pytest.raises(InvalidOption, match="two schedules are called 'hourly'"):

        @lab.app.workflow(trigger=every("1h", id="hourly"))
        async def other() -> None:
            return None
