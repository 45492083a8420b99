"""Patches: old executions take the old way, new ones the new, each the same on every pass."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import Handle, InvalidOption, Status, Step, SyncStep
from stepwell.runtime.registry import Registry
from tests.runtime.lab import Cut, Lab, Ledger


def old(lab: Lab, ledger: Ledger) -> Any:
    """The code before the change."""

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> list[str]:
        await step.run("fetch", ledger.note)
        await step.run("charge", ledger.note)
        await step.sleep("pause", "1d")
        await step.run("end", ledger.note)
        return ["old"]

    return flow


def new(lab: Lab, ledger: Ledger) -> Any:
    """The code after it."""
    lab.app.registry = Registry(lab.app)

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> list[str]:
        await step.run("fetch", ledger.note)
        way = "new" if step.patched("convert") else "old"
        if way == "new":
            await step.run("convert", ledger.note)
        await step.run("charge", ledger.note)
        await step.sleep("pause", "1d")
        again = "new" if step.patched("convert") else "old"
        await step.run("end", ledger.note)
        return [way, again]

    return flow


async def rested(lab: Lab, flow: Any) -> Handle[Any]:
    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    lab.store.is_hurried = True
    return handle


async def test_execution_that_went_past_takes_the_old_way(lab: Lab, ledger: Ledger) -> None:
    """F56."""
    handle = await rested(lab, old(lab, ledger))
    new(lab, ledger)

    async with lab.worker():
        assert await lab.result(handle) == ["old", "old"]

    assert ledger.entries == ["fetch", "charge", "end"]
    assert (await lab.steps(handle))["#patch/convert"].value == b"false"


async def test_new_execution_takes_the_new_way_on_every_pass(lab: Lab, ledger: Ledger) -> None:
    assert await lab.run(new(lab, ledger)) == ["new", "new"]
    assert ledger.entries == ["fetch", "convert", "charge", "end"]


async def test_execution_that_is_not_there_yet_takes_the_new_way(lab: Lab, ledger: Ledger) -> None:
    lab.app.workflow(id="flow")(_rests_after_fetch(ledger))
    handle = await rested(lab, "flow")
    new(lab, ledger)
    await handle.send_event("wake-up")

    async with lab.worker():
        assert await lab.result(handle) == ["new", "new"]


def _rests_after_fetch(ledger: Ledger) -> Any:
    async def flow(step: Step) -> list[str]:
        await step.run("fetch", ledger.note)
        await step.wait_for_event("wake-up")
        return []

    return flow


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("is_before", [True, False])
async def test_crash_at_any_write_changes_no_decision(lab: Lab, ledger: Ledger, at: int, *, is_before: bool) -> None:
    """F61."""
    flow = new(lab, ledger)
    handle = await lab.app.start(flow)
    lab.store.cut = Cut(at, is_before=is_before)

    seen = await lab.survive(handle)

    assert seen.result == b'["new","new"]'
    assert (await lab.steps(handle))["#patch/convert"].value == b"true"


async def test_asking_does_not_rename_the_calls_of_a_branch(lab: Lab, ledger: Ledger) -> None:
    """F60."""
    is_asking = False

    @lab.app.workflow
    async def flow(step: Step) -> list[bool]:
        async def branch(name: str) -> bool:
            is_new = is_asking and step.patched(f"change-{name}")
            await step.run(name, ledger.note)
            await step.sleep("pause", "1d")
            return is_new

        return list(await asyncio.gather(branch("a"), branch("b")))

    handle = await rested(lab, flow)
    is_asking = True

    async with lab.worker():
        assert await lab.result(handle) == [False, False]
    assert ledger.counts == {"a": 1, "b": 1}


async def test_branches_that_ask_at_once_get_the_same(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[bool]:
        async def branch() -> bool:
            is_new = step.patched("change")
            await step.sleep("pause", "1d")
            return is_new and step.patched("change")

        return list(await asyncio.gather(*(branch() for _ in range(5))))

    assert await lab.run(flow) == [True] * 5


async def test_plain_workflow_asks_too(lab: Lab) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> bool:
        is_new = step.patched("change")
        step.sleep("pause", "1d")
        return is_new and step.patched("change")

    assert await lab.run(flow) is True


async def test_decision_stays_when_nothing_asks_any_more(lab: Lab, ledger: Ledger) -> None:
    handle = await rested(lab, new(lab, ledger))
    lab.app.registry = Registry(lab.app)

    @lab.app.workflow(id="flow")
    async def flow(step: Step) -> str:
        for name in ("fetch", "convert", "charge"):
            await step.run(name, ledger.note)
        await step.sleep("pause", "1d")
        return "only the new way is left"

    async with lab.worker():
        assert await lab.result(handle) == "only the new way is left"
    assert (await lab.see(handle)).status is Status.COMPLETED


async def test_patch_is_asked_for_in_the_workflow_only_and_by_a_name(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        with pytest.raises(InvalidOption, match="cannot name a patch"):
            step.patched("a/b")

        async def ask() -> bool:
            return step.patched("change")

        await step.run("inside", ask)

    handle = await lab.app.start(flow)
    async with lab.worker():
        seen = await lab.until(handle, lambda seen: seen.due_at is not None)
    assert b"steps do not nest" in (seen.error or (await lab.app.steps(handle.id))[0].value)
