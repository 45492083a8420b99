"""An app in memory: time passes only when a test asks for it and nothing else can, and a worker dies when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from stepwell import (
    App,
    ExecutionFailed,
    InvalidOption,
    Page,
    Retry,
    Status,
    Step,
    SyncStep,
    Tick,
    current_step,
    every,
    on_event,
    poll,
)
from stepwell.runtime.upkeep import remove
from stepwell.store.memory import MemoryStore
from stepwell.testing import Lab, Standstill, running
from tests.runtime.lab import Gate

SIGNAL_SECONDS = 10.0
DAY = timedelta(days=1)

app = App(MemoryStore())


@app.workflow
async def slow(step: Step) -> list[str]:
    days = []
    for _ in range(3):
        days.append(f"{await step.now():%d %b}")
        await step.sleep("rest", "30d")
    return days


@app.workflow
def plain(number: int, step: SyncStep) -> int:
    step.sleep("rest", "7d")
    return step.run("double", lambda: 2 * number)


@app.workflow
async def flaky(step: Step) -> str:
    return await step(retry=Retry(max_attempts=5, first_delay="1h", max_delay="1h")).run("ask", ask)


async def ask() -> str:
    if current_step().attempt < 4:
        raise ConnectionError("down")
    return "answered"


@app.workflow
async def patient(step: Step) -> str:
    await step.sleep("before", "1h")
    answer = await step.run("wait", wait)
    await step.sleep("after", "1h")
    return answer


async def wait() -> str:
    raise NotImplementedError("only fakes of it are used")


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with asyncio.timeout(SIGNAL_SECONDS), running(app, now=NOON) as lab:
        yield lab


@pytest.fixture
def gate(lab: Lab) -> Gate:
    """The body of step `wait`."""
    gate = Gate()
    lab.fake("wait", gate)
    return gate


# --- time ---------------------------------------------------------------------------------------------------------


async def test_awaiting_a_result_lets_time_pass_as_far_as_it_takes(lab: Lab) -> None:
    handle = await app.start(slow)

    assert await handle.result() == ["01 Mar", "31 Mar", "30 Apr"]
    assert lab.now == NOON + 90 * DAY


async def test_time_stands_still_while_nobody_asks_for_it(lab: Lab) -> None:
    first = await app.start(slow)
    await lab.settle()
    second = await app.start(slow)
    await lab.settle()

    assert lab.now == NOON
    assert {(await app.get(handle.id)).due_at for handle in (first, second)} == {NOON + 30 * DAY}


async def test_advance_goes_through_every_due_time_and_stops_where_it_was_told(lab: Lab) -> None:
    handle = await app.start(slow)

    await lab.advance("61d")

    assert lab.now == NOON + 61 * DAY
    assert (await app.get(handle.id)).due_at == NOON + 90 * DAY
    assert (await app.get(handle.id)).passes == 3


async def test_advance_without_anything_to_do_moves_the_clock_all_the_same(lab: Lab) -> None:
    await lab.advance(DAY)

    assert lab.now == NOON + DAY


async def test_time_does_not_pass_while_a_step_really_waits(lab: Lab, gate: Gate) -> None:
    waiting, sleeping = await app.start(patient), await app.start(slow)
    results = [asyncio.create_task(waiting.result()), asyncio.create_task(sleeping.result())]
    await gate.begun.wait()
    for _ in range(100):
        await asyncio.sleep(0)  # turns of the loop in which time could pass

    assert lab.now == NOON + timedelta(hours=1)
    gate.let_go.set()
    assert [await result for result in results] == ["through", ["01 Mar", "31 Mar", "30 Apr"]]


async def test_retries_wait_for_no_real_time_and_equally_long_in_each_run(lab: Lab) -> None:
    handle = await app.start(flaky)

    assert await handle.result() == "answered"
    assert lab.now == NOON + timedelta(hours=3)


async def test_plain_workflows_run_as_well(lab: Lab) -> None:
    assert await (await app.start(plain, 4)).result() == 8


async def test_delayed_start_waits_for_its_time(lab: Lab) -> None:
    handle = await app.start(plain, 4, delay="3d")

    assert await handle.result() == 8
    assert lab.now == NOON + 10 * DAY


async def test_nothing_is_removed_however_much_time_passes(lab: Lab) -> None:
    handle = await app.start(plain, 4)
    await lab.advance("400d")

    await remove(lab._world.store, app.registry)

    assert await handle.result() == 8


async def test_time_begins_now_unless_told_otherwise() -> None:
    before = datetime.now(UTC)
    async with running(app) as lab:
        assert before <= lab.now <= datetime.now(UTC)


@pytest.mark.parametrize("length", ["soon", "-1d"])
async def test_length_of_time_that_is_none_is_refused(lab: Lab, length: str) -> None:
    with pytest.raises(InvalidOption, match="advance: "):
        await lab.advance(length)


async def test_beginning_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidOption, match="has no time zone"):
        async with running(app, now=datetime(2026, 1, 1)):  # noqa: DTZ001
            pass


# --- schedules ----------------------------------------------------------------------------------------------------

ticking = App(MemoryStore())


@ticking.workflow(trigger=every("6h"))
async def report(tick: Tick, step: Step) -> str:
    await step.sleep("write", "1h")
    return f"{tick.at:%H:%M}"


async def test_schedules_start_what_passing_time_starts() -> None:
    async with asyncio.timeout(SIGNAL_SECONDS), running(ticking, now=NOON, triggers=True) as lab:
        await lab.advance("25h")

        reports = {await ticking.result(one.id) for one in await ticking.list()}

    assert reports == {"18:00", "00:00", "06:00", "12:00"}


async def test_schedules_do_nothing_unless_a_test_wants_them() -> None:
    async with asyncio.timeout(SIGNAL_SECONDS), running(ticking, now=NOON) as lab:
        await lab.advance("25h")

        assert await ticking.list() == []


async def test_waiting_for_an_end_goes_through_the_ticks_on_the_way() -> None:
    async with asyncio.timeout(SIGNAL_SECONDS), running(ticking, now=NOON, triggers=True):
        handle = await ticking.start(report, Tick("by hand", NOON, None), delay="13h")

        assert await handle.result() == "12:00"
        assert len(await ticking.list()) == 3


polling = App(MemoryStore())


async def ask_shop(cursor: int | None) -> Page[int, int]:
    raise NotImplementedError("only fakes of it are used")


@polling.workflow(trigger=poll(ask_shop, every="1d"))
async def polled(item: int, step: Step) -> int:
    return item


async def test_polls_ask_as_time_passes() -> None:
    async with asyncio.timeout(SIGNAL_SECONDS), running(polling, now=NOON, triggers=True) as lab:
        lab.fake("poll", lambda cursor: Page([(cursor or 0) + 1], (cursor or 0) + 1))
        await lab.advance("3d")

        items = {await polling.result(one.id) for one in await polling.list(workflow=polled)}

    assert items == {1, 2, 3}


listening = App(MemoryStore())
answers: list[bool] = []


def is_wanted(number: int) -> bool:
    """Cannot say at first."""
    answers.append(True)
    if len(answers) == 1:
        raise ConnectionError("down")
    return number > 1


@listening.workflow(trigger=on_event("paid", where=is_wanted))
async def ship(number: int, step: Step) -> int:
    await step.sleep("pack", "1h")
    return number


@listening.workflow
async def pay(step: Step) -> None:
    await step.send_event("paid", 2, key="all")


async def test_events_start_what_they_trigger_also_when_a_trigger_has_to_be_asked_again() -> None:
    answers.clear()
    async with asyncio.timeout(SIGNAL_SECONDS), running(listening, now=NOON, triggers=True) as lab:
        await listening.send_event("paid", 1)
        await (await listening.start(pay)).result()
        await listening.send_event("paid", 3, key="all")
        await lab.advance("2h")

        shipped = {await listening.result(one.id) for one in await listening.list(workflow=ship)}

    assert shipped == {2, 3}
    assert len(answers) == 4


async def test_events_start_nothing_unless_a_test_wants_it() -> None:
    async with asyncio.timeout(SIGNAL_SECONDS), running(listening, now=NOON) as lab:
        await listening.send_event("paid", 3)
        await lab.advance("2h")

        assert await listening.list() == []


# --- what cannot go on --------------------------------------------------------------------------------------------


async def test_waiting_for_what_is_parked_ends_with_the_reason(lab: Lab) -> None:
    names = ["first"]

    fickle = App(MemoryStore())

    @fickle.workflow
    async def renamed(step: Step) -> None:
        await step.run(names[-1], lambda: None)
        await step.sleep("rest", "1h") if len(names) == 1 else await step.run("rest", lambda: None)

    async with running(fickle) as other:
        handle = await fickle.start("renamed")
        await other.settle()
        names.append("first")
        with pytest.raises(Standstill, match=r"of 'renamed' is pending: parked: .*'rest'") as standstill:
            await handle.result()

    assert [one.id for one in standstill.value.executions] == [handle.id]


# --- the app ------------------------------------------------------------------------------------------------------


async def test_app_is_afterwards_as_it_was_before() -> None:
    store = MemoryStore()
    own = App(store)

    @own.workflow
    async def noted(step: Step) -> None: ...

    kept = await own.start(noted)
    async with running(own):
        assert await own.list() == []
        gone = await own.start(noted)

    assert [one.id for one in await own.list()] == [kept.id]
    assert gone.id != kept.id


async def test_labs_may_be_nested(lab: Lab) -> None:
    outer = await app.start(slow)
    async with running(app) as inner:
        assert await (await app.start(plain, 1)).result() == 2
        assert inner.now > lab.now

    assert await app.status(outer.id) is Status.PENDING
    assert len(await outer.result()) == 3


async def test_app_may_be_closed_and_opened_within(lab: Lab) -> None:
    async with app:
        handle = await app.start(plain, 1)

    assert await app.result(handle.id) == 2


async def test_app_without_workflows_is_refused_and_left_as_it_was() -> None:
    empty = App(MemoryStore())

    with pytest.raises(InvalidOption, match="has no workflows"):
        async with running(empty):
            pass

    assert await empty.list() == []


async def test_cancel_works_as_ever(lab: Lab) -> None:
    handle = await app.start(slow)

    await handle.cancel()

    assert await handle.status() is Status.CANCELLED


# --- crashes ------------------------------------------------------------------------------------------------------


async def test_crash_while_a_step_runs_makes_another_worker_run_it_again(lab: Lab, gate: Gate) -> None:
    handle = await app.start(patient)
    result = asyncio.create_task(handle.result())
    await gate.begun.wait()
    gate.begun.clear()

    await lab.crash()
    await gate.begun.wait()
    gate.let_go.set()

    assert await result == "through"
    assert (await app.get(handle.id)).crashes == 0


async def test_crash_costs_no_time_and_loses_nothing_that_sleeps(lab: Lab) -> None:
    handle = await app.start(slow)
    await lab.settle()
    for _ in range(3):
        await lab.crash()

    assert lab.now == NOON
    assert len(await handle.result()) == 3


async def test_fake_may_crash_in_the_middle_of_its_step(lab: Lab) -> None:
    crashes: list[int] = []

    async def crash_once() -> str:
        crashes.append(1)
        if len(crashes) == 1:
            await lab.crash()
        return "survived"

    lab.fake("wait", crash_once)
    handle = await app.start(patient)

    assert await handle.result() == "survived"
    assert len(crashes) == 2


async def test_time_cannot_be_advanced_in_a_step(lab: Lab) -> None:
    lab.fake("wait", lambda: lab.advance("1d"))

    with pytest.raises(ExecutionFailed, match="time does not pass while a step runs"):
        await (await app.start(patient)).result()


async def test_lab_that_has_ended_does_nothing() -> None:
    async with running(app) as lab:
        pass

    with pytest.raises(InvalidOption, match="this lab has ended"):
        await lab.advance("1d")


async def test_error_of_the_lab_itself_reaches_who_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = await app.start(slow)
    await lab.settle()

    def broken(until: datetime) -> None:
        raise LookupError("an error of the lab")

    monkeypatch.setattr(lab._world.store, "pass_time", broken)

    with pytest.raises(LookupError, match="an error of the lab"):
        await handle.result()


async def test_execution_that_kills_every_worker_fails_as_it_would_anywhere(lab: Lab, gate: Gate) -> None:
    handle = await app.start(patient)
    result = asyncio.create_task(handle.result())
    for _ in range(5):
        await gate.begun.wait()
        gate.begun.clear()
        await lab.crash()

    with pytest.raises(ExecutionFailed, match="crashed 5 workers"):
        await result
