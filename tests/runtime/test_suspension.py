"""A pass that is suspended says nothing about how the workflow ends, whatever its code does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stepwell import Status, Step
from tests.runtime.lab import Lab, Ledger


async def test_durable_cleanup_runs_once_at_the_real_end(lab: Lab, ledger: Ledger) -> None:
    """F57."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.run("begin", ledger.note)
            await step.sleep("night", "12h")
            await step.sleep("day", "12h")
        finally:
            await step.run("clean-up", ledger.note)

    await lab.run(flow)

    assert ledger.entries == ["begin", "clean-up"]


async def test_except_blocks_do_not_compensate_for_a_suspension(lab: Lab, ledger: Ledger) -> None:
    """F57."""

    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.sleep("night", "12h")
        except BaseException:
            await step.run("compensate", ledger.note)
            raise
        return "slept"

    assert await lab.run(flow) == "slept"
    assert not ledger.entries


async def test_local_context_is_left_and_entered_again_on_each_pass(lab: Lab, ledger: Ledger) -> None:
    @asynccontextmanager
    async def connection() -> AsyncIterator[None]:
        ledger.note("open")
        try:
            yield
        finally:
            ledger.note("close")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async with connection():
            await step.sleep("night", "12h")

    await lab.run(flow)

    assert ledger.entries == ["open", "close", "open", "close"]


@pytest.mark.parametrize("way", ["return", "raise", "go on"])
async def test_suspension_cannot_be_swallowed(lab: Lab, ledger: Ledger, way: str) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.sleep("night", "12h")
        except BaseException as error:
            match way:
                case "return":
                    return "too early"
                case "raise":
                    raise ValueError("too early") from error
        await step.run("morning", ledger.note)
        return "slept"

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "slept"

    assert (await lab.see(handle)).passes == 2
    assert ledger.entries == ["morning"]


async def test_workflow_that_returns_although_a_call_was_cut_is_not_completed(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[str]:
        found = await asyncio.gather(step.sleep("night", "12h"), step.now(), return_exceptions=True)
        return [type(one).__name__ for one in found]

    assert await lab.run(flow) == ["NoneType", "datetime"]


async def test_group_of_sleepers_is_suspended_and_not_failed(lab: Lab) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        async with asyncio.TaskGroup() as group:
            for hours in (5, 2, 2):
                group.create_task(step.sleep(f"nap-{hours}", f"{hours}h"))
        return "slept"

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "slept"

    assert (lab.store.now() - began).total_seconds() == 5 * 3600
    assert (await lab.see(handle)).passes == 3


async def test_branch_that_awaits_for_ever_does_not_keep_a_suspended_pass(lab: Lab, ledger: Ledger) -> None:
    """Promise 8: a sleeping execution holds nothing. The branch is cut after a few seconds."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def hang() -> None:
            await step.run("work", ledger.note)
            await asyncio.Event().wait()

        await asyncio.gather(step.sleep("night", "12h"), hang())

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert seen.status is Status.PENDING
    assert ledger.entries == ["work"]


async def test_task_that_nobody_awaits_ends_with_its_pass(lab: Lab, ledger: Ledger) -> None:
    """F59."""
    may_go_on = asyncio.Event()
    late: list[asyncio.Task[None]] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def slow() -> None:
            await may_go_on.wait()
            await step.run("late", ledger.note)

        late.append(asyncio.create_task(slow()))

    await lab.run(flow)
    may_go_on.set()
    (outcome,) = await asyncio.gather(*late, return_exceptions=True)

    assert isinstance(outcome, asyncio.CancelledError)
    assert not ledger.entries
