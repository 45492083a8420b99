"""Parallel branches: each goes as far as it can, under names that do not depend on who is faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell import Permanent, Status, Step, StepFailed
from tests.runtime.lab import DAY, HOUR, Cut, Lab, Ledger

SEEDS = range(12)
Work = Callable[[str], Awaitable[str]]


def dawdling(ledger: Ledger, seed: int) -> Work:
    """A step's body that takes a random number of turns of the event loop."""
    chance = random.Random(seed)

    async def work(what: str) -> str:
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        ledger.note()
        return what

    return work


async def flat(step: Step, work: Work) -> list[Any]:
    async def branch(name: str) -> list[str]:
        return [await step.run("first", work, f"{name}1"), await step.run("second", work, f"{name}2")]

    return [await asyncio.gather(*map(branch, "abc")), await step.run("first", work, "last")]


async def nested(step: Step, work: Work) -> list[Any]:
    async def leaf(name: str) -> list[str]:
        return [await step.run("leaf", work, name), await step.run("leaf", work, f"{name}'")]

    async def branch(name: str) -> list[Any]:
        begun = await step.run("begin", work, name)
        leaves = await asyncio.gather(leaf(f"{name}1"), leaf(f"{name}2"))
        return [begun, leaves, await step.run("end", work, name)]

    return list(await asyncio.gather(branch("a"), branch("b")))


async def grouped(step: Step, work: Work) -> list[Any]:
    async def branch(name: str) -> str:
        await step.run("first", work, name)
        await step.sleep("pause", "1h")
        return await step.run("second", work, name)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch(name)) for name in "abc"]
        own = await step.run("first", work, "own")
    return [own, *(task.result() for task in tasks)]


async def throttled(step: Step, work: Work) -> list[Any]:
    slots = asyncio.Semaphore(2)

    async def branch(name: str) -> list[str]:
        async with slots:
            return [await step.run("first", work, name), await step.run("second", work, name)]

    return list(await asyncio.gather(*map(branch, "abcde")))


async def begun_by_children(step: Step, work: Work) -> list[Any]:
    """Two branches whose own first call comes after those of the branches that they begin."""

    async def leaf(name: str) -> str:
        return await step.run("leaf", work, name)

    async def branch(name: str) -> list[Any]:
        leaves = await asyncio.gather(leaf(f"{name}1"), leaf(f"{name}2"))
        return [leaves, await step.run("end", work, name)]

    return list(await asyncio.gather(branch("a"), branch("b")))


SHAPES = [flat, nested, grouped, throttled, begun_by_children]


async def history(shape: Any, seed: int, cut: Cut | None = None) -> tuple[Any, dict[str, bytes]]:
    """(result, stored values by key) of a workflow whose worker may die on the way."""
    lab = Lab()
    work = dawdling(lab.ledger, seed)

    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await shape(step, work)

    handle = await lab.app.start(flow)
    lab.store.cut = cut
    await lab.survive(handle)
    stored = {key: record.value for key, record in (await lab.steps(handle)).items() if record.kind == "step"}
    assert len(lab.ledger.entries) >= len(stored)
    return await lab.result(handle), stored


@pytest.mark.parametrize("shape", SHAPES)
async def test_names_of_calls_in_branches_do_not_depend_on_their_durations(shape: Any) -> None:
    """F58, F60."""
    histories = [await history(shape, seed) for seed in SEEDS]

    assert all(one == histories[0] for one in histories)
    assert len(histories[0][1]) >= 6


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
async def test_branches_are_replayed_the_same_wherever_the_worker_died(shape: Any, is_before: bool) -> None:
    """F60, F61: other durations after the crash than before it."""
    expected = await history(shape, 0)

    for at in range(2, 14):
        assert await history(shape, at, Cut(at, is_before)) == expected


async def test_branches_sleep_side_by_side_and_the_pass_ends_once_with_the_earliest(lab: Lab, ledger: Ledger) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def branch(hours: int) -> None:
            ledger.note(f"begun {hours}")
            await step.sleep(f"nap {hours}", f"{hours}h")
            await step.run(f"woken {hours}", ledger.note)

        await asyncio.gather(branch(3), branch(1), branch(2))

    handle = await lab.app.start(flow)
    first = await lab.run_to_rest(handle)

    assert (first.passes, first.due_at) == (1, began + HOUR)
    assert ledger.entries == ["begun 3", "begun 1", "begun 2"]
    lab.store.is_hurried = True
    async with lab.worker():
        await lab.result(handle)
    assert (await lab.see(handle)).passes == 4
    assert lab.store.now() == began + 3 * HOUR
    assert [entry for entry in ledger.entries if "woken" in entry] == [
        f"nap {hours}/woken {hours}" for hours in (1, 2, 3)
    ]


async def test_one_sleeping_branch_does_not_hold_the_others_up(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def steps() -> None:
            for _ in range(30):
                await step.run("work", ledger.note)

        await asyncio.gather(step.sleep("pause", "1d"), steps())

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert seen.passes == 1
    assert len(ledger.entries) == 30


async def test_branch_that_awaits_something_of_its_own_is_not_forgotten(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        async def plain() -> str:
            for _ in range(100):
                await asyncio.sleep(0)
            return await step.run("late", lambda: "late")

        _, found = await asyncio.gather(step.sleep("pause", "1h"), plain())
        return found

    assert await lab.run(flow) == "late"


async def test_failed_branch_fails_again_on_every_replay_and_the_others_keep_their_results(
    lab: Lab, ledger: Ledger
) -> None:
    """F61."""

    async def fail() -> None:
        ledger.note()
        raise Permanent("no")

    @lab.app.workflow
    async def flow(step: Step) -> list[str]:
        calls = [step.run("left", fail), step.run("right", ledger.note), step.run("middle", fail)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        await step.sleep("pause", "1d")
        return [type(one).__name__ for one in found]

    assert await lab.run(flow) == ["StepFailed", "NoneType", "StepFailed"]
    assert ledger.counts == {"left": 1, "right": 1, "middle": 1}


async def test_no_branch_goes_on_after_the_execution_has_failed(lab: Lab, ledger: Ledger) -> None:
    """F59."""
    in_flight, is_cut = asyncio.Event(), asyncio.Event()

    async def long() -> None:
        in_flight.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cut.set()

    async def fail() -> None:
        await in_flight.wait()
        raise Permanent("no")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def other() -> None:
            try:
                await step.run("long", long)
            finally:
                await step.run("after", ledger.note)

        await asyncio.gather(step.run("fail", fail), other())

    handle = await lab.app.start(flow)
    async with lab.worker():
        seen = await lab.at_rest(handle)
        assert is_cut.is_set()

    assert seen.status is Status.FAILED
    assert not ledger.entries
    assert list(await lab.steps(handle)) == ["fail"]


async def test_branches_of_a_failed_group_are_cut_and_the_workflow_goes_on_without_them(
    lab: Lab, ledger: Ledger
) -> None:
    """F59."""
    in_flight = asyncio.Event()

    async def long() -> None:
        in_flight.set()
        await asyncio.Event().wait()

    async def fail() -> None:
        await in_flight.wait()
        raise Permanent("no")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        async def other() -> None:
            await step.run("long", long)
            await step.run("after", ledger.note)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(step.run("fail", fail))
                group.create_task(other())
        except* StepFailed:
            await step.run("compensate", ledger.note)
        await step.sleep("pause", "1d")
        return "compensated"

    assert await lab.run(flow) == "compensated"
    assert ledger.entries == ["compensate"]


async def test_items_of_a_map_in_a_failed_group_are_cut(lab: Lab, ledger: Ledger) -> None:
    """F59."""
    in_flight, compensated = asyncio.Event(), asyncio.Event()

    async def item(number: int) -> None:
        ledger.note()
        if number == 0:
            in_flight.set()
            await compensated.wait()

    async def fail() -> None:
        await in_flight.wait()
        raise Permanent("no")

    async def compensate() -> None:
        compensated.set()
        for _ in range(50):
            await asyncio.sleep(0)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(step.run("fail", fail))
                group.create_task(step.map("items", item, range(20), concurrency=1))
        except* StepFailed:
            await step.run("compensate", compensate)

    await lab.run(flow)

    assert ledger.entries == ["items/#0"]


async def test_branch_that_nobody_awaits_ends_with_the_pass(lab: Lab, ledger: Ledger) -> None:
    """F59."""
    has_begun, is_cut = asyncio.Event(), asyncio.Event()

    @lab.app.workflow
    async def flow(step: Step) -> bool:
        async def forgotten() -> None:
            await step.run("begin", ledger.note)
            try:
                has_begun.set()
                await asyncio.Event().wait()
            finally:
                is_cut.set()

        begun = asyncio.create_task(forgotten())
        await has_begun.wait()
        return begun.done()

    assert await lab.run(flow) is False
    assert is_cut.is_set()


async def test_branch_that_a_user_has_cancelled_is_like_any_other_task(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        long = asyncio.create_task(step.sleep("long", "9d"))
        await step.run("work", ledger.note)
        long.cancel()
        try:
            await long
        except asyncio.CancelledError:
            return "cancelled"
        return "slept"

    began = lab.store.now()

    assert await lab.run(flow) == "cancelled"
    assert lab.store.now() - began < DAY
