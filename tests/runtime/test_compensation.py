"""Compensation: what a workflow did is undone when it does not complete, in reverse order, each undo once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import Cancelled, ExecutionCancelled, ExecutionFailed, Handle, Retry, Status, Step, StepFailed, SyncStep
from stepwell.core.model import Batch, Completed
from tests.runtime.lab import DAY, HOUR, MINUTE, Cut, Gate, Lab, Ledger

ONCE = Retry(1)
TRIP = ["hotel", "flight", "undo-flight", "undo-hotel"]


def fail() -> None:
    raise ValueError("full")


async def book(step: Step, ledger: Ledger, *names: str) -> None:
    """Book each, and have it undone if the workflow does not complete."""
    for name in names:
        await step.run(name, ledger.note)
        step.compensate_with(f"undo-{name}", ledger.note)


async def failed(lab: Lab, handle: Handle[Any]) -> ExecutionFailed:
    with pytest.raises(ExecutionFailed) as caught:
        await lab.result(handle)
    return caught.value


async def test_failed_workflow_is_undone_in_reverse_order(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel", "flight")
        await step.run("car", fail)

    handle = await lab.app.start(trip)
    async with lab.worker():
        error = await failed(lab, handle)

    assert (error.error_type, error.message.partition(":")[0]) == (
        "stepwell.errors.StepFailed",
        "step 'car' failed after 1 attempt",
    )
    assert ledger.entries == TRIP
    assert {"undo-hotel", "undo-flight"} <= set(await lab.steps(handle))


async def test_completed_workflow_is_not_undone(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def trip(step: Step) -> str:
        await book(step, ledger, "hotel", "flight")
        return "booked"

    assert await lab.run(trip) == "booked"
    assert ledger.entries == ["hotel", "flight"]


async def test_workflow_that_catches_its_failure_completes_and_is_not_undone(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> str:
        await book(step, ledger, "hotel")
        try:
            await step.run("car", fail)
        except StepFailed:
            return "without a car"
        return "booked"

    assert await lab.run(trip) == "without a car"
    assert ledger.entries == ["hotel"]


async def test_plain_workflow_is_undone_too(lab: Lab) -> None:
    ledger: list[str] = []

    @lab.app.workflow(retry=ONCE)
    def trip(step: SyncStep) -> None:
        step.run("hotel", lambda: ledger.append("hotel"))
        step.compensate_with("undo-hotel", ledger.append, "undo-hotel")
        step.run("car", fail)

    handle = await lab.app.start(trip)
    async with lab.worker():
        await failed(lab, handle)

    assert ledger == ["hotel", "undo-hotel"]


async def test_cancelled_workflow_is_undone_after_its_own_clean_up(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel", "flight")
        try:
            await step.wait_for_event("payment")
        finally:
            await step.run("tell", ledger.note)

    handle = await lab.app.start(trip)
    await lab.run_to_rest(handle)
    await handle.cancel(reason="changed my mind")

    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="changed my mind"):
            await lab.result(handle)
    assert ledger.entries == ["hotel", "flight", "tell", "undo-flight", "undo-hotel"]


async def test_workflow_that_swallows_its_cancel_is_undone(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def trip(step: Step) -> str:
        await book(step, ledger, "hotel")
        try:
            await step.sleep("pause", "7d")
        except Cancelled:
            return "swallowed"
        return "slept"

    handle = await lab.app.start(trip)
    await lab.run_to_rest(handle)
    await handle.cancel()

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["hotel", "undo-hotel"]


async def test_execution_that_has_not_registered_anything_yet_ends_as_before(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(timeout="1h")
    async def trip(step: Step) -> None:
        await step.sleep("pause", "7d")
        await book(step, ledger, "hotel")

    with pytest.raises(ExecutionFailed, match="timeout"):
        await lab.run(trip)
    assert not ledger.entries


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
async def test_workflow_that_ran_out_of_time_is_undone(lab: Lab, ledger: Ledger, limit: str) -> None:
    began = lab.store.now()

    @lab.app.workflow(timeout="1d" if limit == "timeout" else None)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel", "flight")
        await step.sleep("pause", "7d")
        await book(step, ledger, "car")

    handle = await lab.app.start(trip, deadline="1d" if limit == "deadline" else None)
    async with lab.worker():
        with pytest.raises(ExecutionFailed if limit == "timeout" else ExecutionCancelled, match=r"timeout|expired"):
            await lab.result(handle)

    assert ledger.entries == TRIP
    assert lab.store.now() - began == DAY


async def test_step_that_runs_when_the_time_is_over_is_cut_and_the_rest_undone(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow(timeout="300ms")
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        await step.run("slow", gate)

    handle = await lab.app.start(trip)
    async with lab.worker():
        error = await failed(lab, handle)

    assert error.error_type == "WorkflowTimeout"
    assert gate.was_cut.is_set()
    assert ledger.entries == ["hotel", "undo-hotel"]


async def test_undoing_after_a_timeout_ends_with_its_grace(lab: Lab) -> None:
    began = lab.store.now()

    @lab.app.workflow(timeout="1d", retry=Retry(100, first_delay="1h", max_delay="1h"))
    async def trip(step: Step) -> None:
        step.compensate_with("undo-hotel", fail)
        await step.sleep("pause", "7d")

    handle = await lab.app.start(trip)
    async with lab.worker(cancel_grace=90 * MINUTE, random=lambda: 1.0):
        error = await failed(lab, handle)

    assert error.error_type == "WorkflowTimeout"
    assert lab.store.now() - began == DAY + 90 * MINUTE


async def test_undo_that_fails_leaves_the_others_alone_and_is_named(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        step.compensate_with("undo-flight", fail)
        await book(step, ledger, "car")
        raise LookupError("no way")

    handle = await lab.app.start(trip)
    async with lab.worker():
        error = await failed(lab, handle)

    assert error.error_type == "LookupError"
    assert "no way; not undone, 'undo-flight': ValueError: full" in error.message
    assert ledger.entries == ["hotel", "car", "undo-car", "undo-hotel"]


async def test_retry_by_hand_undoes_what_was_left_and_goes_no_further(lab: Lab, ledger: Ledger) -> None:
    is_down = True

    def undo() -> None:
        ledger.note("undo-flight")
        if is_down:
            raise ConnectionError("down")

    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        step.compensate_with("undo-flight", undo)
        await step.run("car", fail)

    handle = await lab.app.start(trip)
    async with lab.worker():
        await failed(lab, handle)
        is_down = False
        await lab.app.retry(handle.id)
        error = await failed(lab, handle)

    assert "not undone" not in error.message
    assert ledger.entries == ["hotel", "undo-flight", "undo-hotel", "undo-flight"]


async def test_cancelled_execution_that_was_undone_cannot_go_on(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        await step.wait_for_event("payment")

    handle = await lab.app.start(trip)
    await lab.run_to_rest(handle)
    await handle.cancel()
    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)

        await lab.app.retry(handle.id)

        assert "its compensations have run" in (await failed(lab, handle)).message
    assert ledger.entries == ["hotel", "undo-hotel"]


async def test_undo_waits_for_its_retries_and_holds_nothing_meanwhile(lab: Lab, ledger: Ledger) -> None:
    tries = 0

    def undo() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError("down")

    @lab.app.workflow(retry=Retry(5, first_delay="1h", max_delay="1h"))
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        step.compensate_with("undo-flight", undo)
        raise LookupError("no way")

    began = lab.store.now()
    handle = await lab.app.start(trip)
    async with lab.worker(random=lambda: 1.0):
        assert (await failed(lab, handle)).error_type == "LookupError"

    assert lab.store.now() - began == 2 * HOUR
    assert (tries, ledger.entries) == (3, ["hotel", "undo-hotel"])


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("is_before", [True, False])
async def test_crash_at_any_write_undoes_everything_once(lab: Lab, ledger: Ledger, at: int, *, is_before: bool) -> None:
    """F61. What was cut is begun again, and nothing else."""

    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel", "flight")
        await step.run("car", fail)

    handle = await lab.app.start(trip)
    lab.store.cut = Cut(at, is_before=is_before)
    seen = await lab.survive(handle)

    assert seen.status is Status.FAILED
    assert list(dict.fromkeys(ledger.entries)) == TRIP
    assert len(ledger.entries) <= len(TRIP) + 1
    assert {key for key, one in (await lab.steps(handle)).items() if one.is_failure} == {"car"}


async def test_branches_that_are_left_behind_do_not_go_on_while_the_rest_is_undone(lab: Lab, ledger: Ledger) -> None:
    """F59."""
    gate = Gate()

    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        async def slow() -> None:
            await step.run("slow", gate)
            await step.run("never", ledger.note)

        async def quick() -> None:
            await gate.begun.wait()
            raise LookupError("no way")

        async def undo() -> None:
            ledger.note()
            gate.let_go.set()

        step.compensate_with("undo", undo)
        await asyncio.gather(slow(), quick())

    handle = await lab.app.start(trip)
    async with lab.worker():
        assert (await failed(lab, handle)).error_type == "LookupError"

    assert gate.was_cut.is_set()
    assert ledger.entries == ["undo"]
    assert set(await lab.steps(handle)) == {"undo"}


async def test_worker_that_stops_while_it_undoes_hands_back_and_the_next_goes_on(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        step.compensate_with("slow", gate)
        raise LookupError("no way")

    handle = await lab.app.start(trip)
    async with lab.worker() as worker:
        await gate.begun.wait()
        worker.stop()
        gate.let_go.set()
    assert ledger.entries == ["hotel"]

    async with lab.worker():
        assert (await failed(lab, handle)).error_type == "LookupError"
    assert ledger.entries == ["hotel", "undo-hotel"]


async def test_cancel_while_a_failure_is_undone_lets_it_go_on(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow(retry=ONCE)
    async def trip(step: Step) -> None:
        await book(step, ledger, "hotel")
        step.compensate_with("slow", gate)
        raise LookupError("no way")

    handle = await lab.app.start(trip)
    async with lab.worker():
        await gate.begun.wait()
        await handle.cancel(reason="enough")
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled, match="enough"):
            await lab.result(handle)
    assert ledger.entries == ["hotel", "undo-hotel"]


async def test_cancel_that_comes_while_the_result_is_being_stored_has_it_undone(lab: Lab, ledger: Ledger) -> None:
    """F51: who was told that the execution will be cancelled finds nothing of it done."""

    @lab.app.workflow
    async def trip(step: Step) -> str:
        await book(step, ledger, "hotel", "flight")
        return "booked"

    handle = await lab.app.start(trip)

    def cancel(batch: Batch) -> None:
        if any(isinstance(ending.outcome, Completed) for ending in batch.endings):
            with pytest.raises(StopIteration):
                lab.store.cancel(handle.id, reason="too dear").send(None)

    lab.store.before_flush = cancel
    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="too dear"):
            await lab.result(handle)

    assert ledger.entries == TRIP
