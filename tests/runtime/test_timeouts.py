"""Timeouts of one attempt of a step, and of a whole workflow."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stepwell import ExecutionFailed, NotYet, Retry, Status, Step, StepFailed, SyncStep
from tests.runtime.lab import DAY, HOUR, SIGNAL_SECONDS, Gate, Lab, Ledger

QUICK = "10ms"
SOON = "500ms"  # long enough for a step to begin, on a busy machine too


async def test_attempt_that_takes_too_long_is_cut_and_tried_again(lab: Lab) -> None:
    gate = Gate()
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        try:
            await step(timeout=QUICK, retry=Retry(2, first_delay="1h")).run("slow", gate)
        except StepFailed as failed:
            return [failed.error_type, failed.attempts, failed.message]
        return []

    assert await lab.run(flow) == ["stepwell.errors.StepTimeout", 2, "step 'slow' took longer than 0.01 s"]
    assert gate.was_cut.is_set()
    assert lab.store.now() - began < HOUR


async def test_step_within_its_timeout_is_left_alone(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> int:
        return await step(timeout="1h").run("quick", lab.ledger.double, 4)

    assert await lab.run(flow) == 8


async def test_plain_function_that_takes_too_long_fails_its_step_and_its_late_result_is_not_kept(lab: Lab) -> None:
    may_end, has_ended = threading.Event(), threading.Event()

    def slow() -> str:
        may_end.wait(10)
        has_ended.set()
        return "too late"

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            return await step(timeout=QUICK, retry=Retry(1)).run("slow", slow)
        except StepFailed as failed:
            may_end.set()
            await asyncio.to_thread(has_ended.wait, 10)
            await step.sleep("pause", "1h")
            return failed.error_type

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "stepwell.errors.StepTimeout"

    assert (await lab.steps(handle))["slow"].is_failure


async def test_timeout_goes_for_each_item_of_a_map(lab: Lab) -> None:
    gate = Gate()

    async def item(number: int) -> str:
        return await gate() if number == 1 else "quick"

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step(timeout=QUICK, retry=Retry(1)).map("items", item, range(3))
        except StepFailed as failed:
            return failed.step
        return ""

    assert await lab.run(flow) == "items/#1"


@pytest.mark.parametrize("workflow_timeout", ["36h", "1h"])
async def test_workflow_that_takes_too_long_fails_at_its_time(lab: Lab, workflow_timeout: str, ledger: Ledger) -> None:
    began = lab.store.now()

    @lab.app.workflow(timeout=workflow_timeout)
    async def flow(step: Step) -> None:
        for day in range(9):
            await step.sleep(f"day {day}", "24h")
            await step.run("work", ledger.note)

    with pytest.raises(ExecutionFailed, match="workflow 'flow' took longer than its timeout") as caught:
        await lab.run(flow)

    assert caught.value.error_type == "WorkflowTimeout"
    assert lab.store.now() - began == (HOUR if workflow_timeout == "1h" else 1.5 * DAY)
    assert ledger.entries == ([] if workflow_timeout == "1h" else ["work"])


async def test_workflow_that_waits_for_a_retry_fails_at_its_time(lab: Lab) -> None:
    began = lab.store.now()

    async def fail() -> None:
        raise ValueError("no")

    @lab.app.workflow(timeout="90m", retry=Retry(factor=100, first_delay="365d", max_delay="365d"))
    async def flow(step: Step) -> None:
        await step.run("work", fail)

    with pytest.raises(ExecutionFailed, match="timeout"):
        await lab.run(flow)
    assert lab.store.now() - began == 1.5 * HOUR


async def test_workflow_timeout_cuts_the_running_step(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow(timeout=SOON)
    async def flow(step: Step) -> None:
        await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed, match="timeout"):
            await lab.result(handle)

    assert gate.was_cut.is_set()
    assert await lab.steps(handle) == {}


async def test_workflow_timeout_cuts_the_running_step_of_a_plain_workflow(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow(timeout=SOON)
    def flow(step: SyncStep) -> None:
        step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed, match="timeout"):
            await lab.result(handle)
        assert gate.was_cut.is_set()

    assert await lab.steps(handle) == {}


async def test_workflow_cannot_swallow_its_timeout(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(timeout=QUICK)
    async def flow(step: Step) -> str:
        try:
            await step.run("slow", Gate())
        except BaseException:
            await step.run("after", ledger.note)
        return "in time"

    with pytest.raises(ExecutionFailed, match="timeout"):
        await lab.run(flow)
    assert not ledger.entries


async def test_workflows_timeout_is_not_moved_by_recovery(lab: Lab, ledger: Ledger) -> None:
    """F89: its worker dies at 80% of it."""
    began = lab.store.now()

    async def kill_the_worker() -> None:
        if not ledger.entries:
            ledger.note()
            lab.store.cut_off()

    @lab.app.workflow(timeout="10h")
    async def flow(step: Step) -> None:
        await step.sleep("most of it", "8h")
        await step.run("die", kill_the_worker)
        await step.sleep("rest", "8h")

    handle = await lab.app.start(flow)
    seen = await lab.survive(handle)

    assert (seen.status, seen.passes) == (Status.FAILED, 4)
    assert lab.store.now() - began == 10 * HOUR


async def test_waiting_for_a_thread_is_not_the_steps_time() -> None:
    """The one thread is taken for longer than the timeout, measured by a step whose own timeout runs out meanwhile."""
    lab, let_go = Lab(step_threads=1), threading.Event()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        impatient = step(timeout="300ms", retry=Retry(1))  # so long a busy machine may take to begin a thread's work
        hog = asyncio.create_task(step.run("hog", let_go.wait, SIGNAL_SECONDS))
        quick = asyncio.create_task(impatient.run("quick", lambda: "in time"))
        with pytest.raises(StepFailed):
            await impatient.run("clock", Gate())
        let_go.set()
        await hog
        return await quick

    assert await lab.run(flow) == "in time"


async def test_timeout_counts_although_the_step_says_not_yet_when_it_is_cut(lab: Lab) -> None:
    """Else it would be called again for ever, since that is no attempt."""
    begun = []

    async def stubborn() -> None:
        begun.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise NotYet("1s", "too busy") from None

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step(timeout="10ms", retry=Retry(2)).run("wait", stubborn)

    async with lab.worker():
        with pytest.raises(ExecutionFailed, match="took longer than"):
            await lab.result(await lab.app.start(flow))

    assert len(begun) == 2
