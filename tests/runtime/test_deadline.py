"""Deadlines: nothing begins after one, what runs stops at it and cleans up, and no recovery moves it (F89)."""

from __future__ import annotations

import pytest

from stepwell import Cancelled, ExecutionCancelled, InvalidOption, Retry, Status, Step, StepFailed
from tests.runtime.lab import DAY, HOUR, MINUTE, SECOND, Cut, Gate, Lab, Ledger


async def expired(lab: Lab, handle: object) -> None:
    """The execution ends, because of its deadline."""
    with pytest.raises(ExecutionCancelled) as caught:
        await lab.result(handle)  # type: ignore[arg-type]
    assert caught.value.reason == "expired"


async def test_execution_never_starts_after_its_deadline(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        ledger.note("began")

    handle = await lab.app.start(flow, deadline="1h")
    lab.store.pass_time(HOUR)

    async with lab.worker():
        await expired(lab, handle)
    assert not ledger.entries


async def test_execution_delayed_beyond_its_deadline_ends_at_its_deadline(lab: Lab, ledger: Ledger) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        ledger.note("began")

    handle = await lab.app.start(flow, delay="7d", deadline="1d")

    async with lab.worker():
        await expired(lab, handle)
    assert lab.store.now() - began == DAY
    assert not ledger.entries


async def test_execution_before_its_deadline_is_left_alone(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> int:
        await step.sleep("pause", "23h")
        return await step.run("work", ledger.double, 4)

    handle = await lab.app.start(flow, deadline=lab.store.now() + DAY)

    async with lab.worker():
        assert await lab.result(handle) == 8


@pytest.mark.parametrize("wait", ["sleep", "event", "retry", "child"])
async def test_execution_that_waits_is_woken_at_its_deadline_and_cleans_up(lab: Lab, ledger: Ledger, wait: str) -> None:
    began = lab.store.now()

    async def fail() -> None:
        raise ValueError("no")

    @lab.app.workflow
    async def child(step: Step) -> None:
        await step.wait_for_event("never")

    @lab.app.workflow(retry=Retry(first_delay="365d", max_delay="365d", factor=100))
    async def flow(step: Step) -> None:
        try:
            match wait:
                case "sleep":
                    await step.sleep("pause", "7d")
                case "event":
                    await step.wait_for_event("approval")
                case "retry":
                    await step.run("work", fail)
                case _:
                    await step.call("child", child)
        except Cancelled as cancelled:
            await step.run("tell", ledger.note, str(cancelled))
            await step.sleep("cooldown", "1m")
            await step.run("release", ledger.note)
            raise

    handle = await lab.app.start(flow, deadline="1d")

    async with lab.worker(random=lambda: 1.0):
        await expired(lab, handle)
        if wait == "child":
            (one,) = await lab.app.list(workflow=child)
            with pytest.raises(ExecutionCancelled):
                await lab.app.result(one.id)
    assert ledger.entries == ["expired", "release"]
    assert lab.store.now() - began == DAY + MINUTE


async def test_clean_up_after_the_deadline_has_its_grace_and_no_longer(lab: Lab) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.sleep("pause", "7d")
        finally:
            await step.sleep("cooldown", "1h")

    handle = await lab.app.start(flow, deadline="1d")

    async with lab.worker(cancel_grace=10 * MINUTE):
        await expired(lab, handle)
    assert lab.store.now() - began == DAY + 10 * MINUTE


async def test_result_of_a_workflow_that_swallows_its_deadline_is_not_its_outcome(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.sleep("pause", "7d")
        except Cancelled:
            return "swallowed"
        return "slept"

    handle = await lab.app.start(flow, deadline="1d")

    async with lab.worker():
        await expired(lab, handle)


async def test_step_that_runs_when_the_deadline_comes_is_stored_and_the_next_does_not_begin(
    lab: Lab, ledger: Ledger
) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step(timeout="500ms", retry=Retry(1)).run("slow", Gate())
        except StepFailed:
            await step.run("next", ledger.note)

    handle = await lab.app.start(flow, deadline="100ms")
    async with lab.worker():
        await expired(lab, handle)

    assert (await lab.steps(handle))["slow"].is_failure
    assert not ledger.entries


@pytest.mark.parametrize("is_before", [True, False])
async def test_recovery_does_not_move_the_deadline(lab: Lab, ledger: Ledger, *, is_before: bool) -> None:
    """F89."""
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        for hour in range(48):
            await step.run(f"work {hour}", ledger.note)
            await step.sleep(f"hour {hour}", "1h")

    lab.store.cut = Cut(at=20, is_before=is_before)
    handle = await lab.app.start(flow, deadline="1d")

    seen = await lab.survive(handle)

    assert seen.status is Status.CANCELLED
    assert seen.why == "expired"
    assert seen.deadline_at == began + DAY
    assert seen.finished_at == began + DAY
    assert lab.store.cut.at < lab.store.writes


async def test_expired_execution_that_is_retried_by_hand_goes_on_without_its_deadline(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> int:
        await step.sleep("pause", "2d")
        return await step.run("work", ledger.double, 4)

    handle = await lab.app.start(flow, deadline="1d")
    async with lab.worker():
        await expired(lab, handle)

        await lab.app.retry(handle.id)

        assert await lab.result(handle) == 8


async def test_deadline_that_has_passed_is_refused_and_nothing_is_stored(lab: Lab) -> None:
    @lab.app.workflow
    async def flow() -> None:
        return None

    for deadline in (lab.store.now(), lab.store.now() - SECOND):
        with pytest.raises(InvalidOption, match="has passed"):
            await lab.app.start(flow, deadline=deadline)
        with pytest.raises(InvalidOption, match="has passed"):
            await lab.app.start_many(flow, [{}, {}], deadline=deadline)
        with pytest.raises(InvalidOption, match="has passed"):
            await lab.app.start_json("flow", deadline=deadline)

    assert not await lab.app.list()
