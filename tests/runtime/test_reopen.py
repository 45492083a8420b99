"""A failed execution is continued from the steps that failed; what was completed is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import App, ExecutionFailed, Handle, NotAllowed, Permanent, Retry, Status, Step, StepFailed
from tests.runtime.lab import Lab, Ledger


class Vendor:
    """What steps call; it refuses until it is repaired."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self.is_broken = ledger, True

    async def call(self) -> str:
        self._ledger.note()
        if self.is_broken:
            raise Permanent("broken")
        return "ok"

    async def even(self, number: int) -> int:
        self._ledger.note()
        if self.is_broken and number % 2:
            raise Permanent("broken")
        return number


@pytest.fixture
def vendor(ledger: Ledger) -> Vendor:
    return Vendor(ledger)


async def fail_then_repair(lab: Lab, workflow: Any, vendor: Vendor) -> Any:
    """The result of a workflow that first fails, then is retried when the vendor works."""
    handle = await lab.app.start(workflow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed):
            await lab.result(handle)
        vendor.is_broken = False
        await lab.app.retry(handle.id)
        return await lab.result(handle)


async def test_failed_step_runs_again_and_completed_ones_do_not(lab: Lab, ledger: Ledger, vendor: Vendor) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.run("before", ledger.note)
        found = await step.run("call", vendor.call)
        await step.run("after", ledger.note)
        return found

    assert await fail_then_repair(lab, flow, vendor) == "ok"
    assert ledger.entries == ["before", "call", "call", "after"]


async def test_failed_step_has_all_its_attempts_again(lab: Lab, ledger: Ledger) -> None:
    async def fail() -> None:
        ledger.note()
        raise ValueError("no")

    @lab.app.workflow(retry=Retry(3, first_delay="1h"))
    async def flow(step: Step) -> None:
        await step.run("call", fail)

    handle = await lab.app.start(flow)
    async with lab.worker():
        for attempts in (3, 6):
            with pytest.raises(ExecutionFailed, match="after 3 attempts"):
                await lab.result(handle)
            assert len(ledger.entries) == attempts
            await lab.app.retry(handle.id)


async def test_all_failed_items_of_a_map_run_again_and_no_others(lab: Lab, ledger: Ledger, vendor: Vendor) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        return await step.map("items", vendor.even, range(6), concurrency=6)

    assert await fail_then_repair(lab, flow, vendor) == list(range(6))
    assert ledger.counts == {f"items/#{number}": 1 + number % 2 for number in range(6)}


async def test_all_failed_steps_of_a_group_run_again(lab: Lab, ledger: Ledger, vendor: Vendor) -> None:
    both = asyncio.Barrier(2)

    async def call() -> str:
        if vendor.is_broken:
            await both.wait()
        return await vendor.call()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        async with asyncio.TaskGroup() as group:
            left, right = (group.create_task(step.run(name, call)) for name in ("left", "right"))
        return left.result() + right.result()

    assert await fail_then_repair(lab, flow, vendor) == "okok"
    assert ledger.counts == {"left": 2, "right": 2}


@pytest.mark.parametrize("is_explicit", [True, False])
async def test_step_behind_the_workflows_own_error_runs_again(lab: Lab, vendor: Vendor, is_explicit: bool) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            return await step.run("call", vendor.call)
        except StepFailed as failed:
            if is_explicit:
                raise LookupError("no customer") from failed
            raise LookupError("no customer")  # noqa: B904

    assert await fail_then_repair(lab, flow, vendor) == "ok"


async def test_failure_that_was_dealt_with_stays_dealt_with(lab: Lab, ledger: Ledger, vendor: Vendor) -> None:
    async def refuse() -> None:
        ledger.note()
        raise Permanent("always")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.run("refuse", refuse)
        except StepFailed:
            await step.run("compensate", ledger.note)
        return await step.run("call", vendor.call)

    assert await fail_then_repair(lab, flow, vendor) == "ok"
    assert ledger.counts == {"refuse": 1, "compensate": 1, "call": 2}


async def test_compensation_that_failed_runs_again_without_what_it_compensates_for(
    lab: Lab, ledger: Ledger, vendor: Vendor
) -> None:
    async def refuse() -> None:
        ledger.note()
        raise Permanent("always")

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.run("refuse", refuse)
        except StepFailed:
            return await step.run("compensate", vendor.call)
        return "never"

    assert await fail_then_repair(lab, flow, vendor) == "ok"
    assert ledger.counts == {"refuse": 1, "compensate": 2}


async def test_workflow_with_a_mistake_goes_on_with_the_code_that_mends_it(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> str:
        await step.run("work", ledger.note)
        raise ZeroDivisionError

    handle: Handle[Any] = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed):
            await lab.result(handle)

    lab.app = App(lab.store)

    @lab.app.workflow(id="flow")
    async def mended(step: Step) -> str:
        await step.run("work", ledger.note)
        return "done"

    await lab.app.retry(handle.id)
    async with lab.worker():
        assert await lab.result(handle) == "done"
    assert ledger.entries == ["work"]


async def test_retry_ends_the_wait_for_the_next_attempt(lab: Lab, ledger: Ledger, vendor: Vendor) -> None:
    async def call() -> str:
        try:
            return await vendor.call()
        except Permanent as error:
            raise ValueError("later") from error

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(2, first_delay="365d", max_delay="365d")).run("call", call)

    handle = await lab.app.start(flow)
    began = (await lab.run_to_rest(handle)).created_at
    vendor.is_broken = False
    await lab.app.retry(handle.id)
    async with lab.worker():
        assert await lab.result(handle) == "ok"

    assert lab.store.now() == began
    assert ledger.entries == ["call", "call"]


async def test_what_has_not_failed_is_not_retried(lab: Lab) -> None:
    @lab.app.workflow
    async def flow() -> None:
        return None

    fresh, done = await lab.app.start(flow, delay="1d"), await lab.app.start(flow)
    lab.store.is_hurried = False
    async with lab.worker():
        await lab.result(done)

    for handle, status in ((fresh, Status.PENDING), (done, Status.COMPLETED)):
        with pytest.raises(NotAllowed, match=f"cannot retry execution {handle.id}: it is {status}"):
            await lab.app.retry(handle.id)
