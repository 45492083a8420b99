"""Children: started once, awaited for nothing, linked to their parent, cancelled with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import ChildFailed, ExecutionCancelled, Status, Step, StepFailed, SyncStep
from stepwell.core.model import Execution, Filter
from tests.runtime.lab import Cut, Gate, Lab, Ledger


async def executions(lab: Lab, workflow: str) -> list[Execution]:
    return sorted(await lab.store.list(Filter(workflow=workflow), limit=5_000), key=lambda one: one.id)


async def test_called_child_answers_its_parent(lab: Lab) -> None:
    @lab.app.workflow
    async def double(number: int, step: Step) -> int:
        await step.sleep("think", "1d")
        return 2 * number

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return await step.call("double-it", double, 4)

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == 8
    (child,) = await executions(lab, "double")
    assert (child.parent_id, child.parent_key) == (handle.id, "double-it")


async def test_parent_that_waits_for_a_child_holds_nothing_and_says_so(lab: Lab) -> None:
    @lab.app.workflow
    async def slow(step: Step) -> None:
        await step.wait_for_event("go")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.call("wait", slow)

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert (seen.status, seen.why) == (Status.WAITING, "child 'wait'")


@pytest.mark.parametrize("is_before", [True, False])
async def test_child_that_ends_at_once_wakes_its_parent_whenever_it_parks(is_before: bool) -> None:
    """F50: with a crash at any write as well; the child's step runs once."""
    for at in range(1, 12):
        lab = Lab()

        @lab.app.workflow
        async def quick(step: Step) -> str:
            return await step.run("work", lambda: "done")

        @lab.app.workflow
        async def flow(step: Step) -> list[Any]:
            return list(await asyncio.gather(step.call("a", quick), step.call("b", quick)))

        handle = await lab.app.start(flow)
        lab.store.cut = Cut(at, is_before)

        assert (await lab.survive(handle)).result == b'["done","done"]'
        assert len(await executions(lab, "quick")) == 2


async def test_failure_of_a_child_is_raised_with_its_facts_on_every_replay(lab: Lab) -> None:
    """F61."""

    @lab.app.workflow
    async def broken() -> None:
        raise ValueError("no")

    @lab.app.workflow
    async def flow(step: Step) -> list[str]:
        told = []
        for _ in range(2):
            try:
                await step.call("try", broken)
            except ChildFailed as failed:
                told.append(f"{failed.step} {failed.status} {failed.error_type} {failed.message}")
            await step.sleep("replay", "1d")
        return told

    assert await lab.run(flow) == ["try failed ValueError no", "try#2 failed ValueError no"]


async def test_cancelling_the_parent_cancels_what_it_has_called_but_not_what_it_has_started(lab: Lab) -> None:
    @lab.app.workflow
    async def leaf(step: Step) -> None:
        await step.sleep("long", "30d")

    @lab.app.workflow
    async def middle(step: Step) -> None:
        await step.call("leaf", leaf)

    @lab.app.workflow
    async def own(step: Step) -> None:
        await step.wait_for_event("go")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.start("own", own)
        await step.call("middle", middle)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await lab.run_until(lambda: executions(lab, "leaf"))

    await handle.cancel(reason="no longer needed")
    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="no longer needed"):
            await lab.result(handle)
        for name in ("middle", "leaf"):
            (child,) = await executions(lab, name)
            with pytest.raises(ExecutionCancelled, match="its parent has ended"):
                await lab.app.result(child.id, timeout="10s")
        (started,) = await executions(lab, "own")
        assert not started.status.is_final


async def test_cancelled_child_is_a_failure_for_its_parent(lab: Lab) -> None:
    @lab.app.workflow
    async def slow(step: Step) -> None:
        await step.wait_for_event("go")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.call("wait", slow)
        except ChildFailed as failed:
            return f"{failed.status}: {failed.message}"
        return "no error"

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    (child,) = await executions(lab, "slow")
    async with lab.worker():
        await lab.app.cancel(child.id, reason="stuck")
        assert await lab.result(handle) == "cancelled: stuck"


async def test_started_child_goes_on_by_itself_and_is_started_once(lab: Lab) -> None:
    for at in range(1, 8):
        lab = Lab()

        @lab.app.workflow
        async def report(name: str) -> str:
            return name

        @lab.app.workflow
        async def flow(step: Step) -> Any:
            return await step.start("report", report, "june", tags=["monthly"])

        handle = await lab.app.start(flow)
        lab.store.cut = Cut(at, False)
        await lab.survive(handle)
        (child,) = await executions(lab, "report")
        assert (child.parent_id, child.tags) == (handle.id, ("monthly",))


async def test_thousand_children_at_once(lab: Lab) -> None:
    @lab.app.workflow
    async def double(number: int) -> int:
        return 2 * number

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return sum(await asyncio.gather(*(step.call("double", double, number) for number in range(1_000))))

    assert await lab.run(flow) == 999_000


async def test_map_over_a_workflow_makes_a_child_of_each_item(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def double(number: int, step: Step) -> int:
        await step.sleep("think", "1h")
        return 2 * number

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("double", double, range(50), concurrency=20)

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == [2 * number for number in range(50)]
    children = await executions(lab, "double")
    assert {child.parent_key for child in children} == {f"double/#{number}" for number in range(50)}


async def test_map_over_a_workflow_never_has_more_children_than_allowed(lab: Lab) -> None:
    @lab.app.workflow
    async def wait(number: int, step: Step) -> int:
        await step.wait_for_event("go", key=str(number))
        return number

    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("wait", wait, range(5), concurrency=2)

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)
    assert seen.why == "2 children of 'wait'"
    assert len(await executions(lab, "wait")) == 2

    for number in range(5):
        await lab.app.send_event("go", key=str(number))
    async with lab.worker():
        assert await lab.result(handle) == list(range(5))


async def test_failed_child_of_a_map_fails_it_with_the_item(lab: Lab) -> None:
    @lab.app.workflow
    async def picky(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.map("picky", picky, range(4))
        except StepFailed as failed:
            return f"{failed.step}: {failed.message}"
        return "no error"

    assert await lab.run(flow) == "picky/#2: two"


async def test_child_called_with_another_input_than_before_parks_the_parent(lab: Lab) -> None:
    """F56."""
    given = [1]

    @lab.app.workflow
    async def wait(number: int, step: Step) -> None:
        await step.wait_for_event("go")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(step.call("wait", wait, given[0]), step.wait_for_event("again"))

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    given[0] = 2
    await handle.send_event("again")

    seen = await lab.run_to_rest(handle)

    assert seen.why is not None
    assert seen.why.startswith("parked: 'wait' is a child of workflow 'wait' with another input")


async def test_plain_function_calls_children_as_well(lab: Lab) -> None:
    @lab.app.workflow
    def double(number: int) -> int:
        return 2 * number

    @lab.app.workflow
    def flow(step: SyncStep) -> list[Any]:
        step.start("own", double, 1)
        return [step.call("double", double, 4), step.map("all", double, [1, 2])]

    assert await lab.run(flow) == [8, [2, 4]]


async def test_parent_that_returns_cancels_a_called_child_it_no_longer_waits_for(lab: Lab) -> None:
    @lab.app.workflow
    async def slow(step: Step) -> None:
        await step.sleep("long", "30d")

    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        call = asyncio.ensure_future(step.call("slow", slow))
        await step.run("work", gate)
        call.cancel()
        return "done"

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await lab.run_until(lambda: executions(lab, "slow"), is_working=True)
        gate.let_go.set()
        assert await lab.result(handle) == "done"
        (child,) = await executions(lab, "slow")
        with pytest.raises(ExecutionCancelled):
            await lab.app.result(child.id, timeout="10s")
