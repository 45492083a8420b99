"""Durable calls that make no sense are refused before anything happens, with a sentence that says what would."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell import ExecutionFailed, InvalidOption, Step, current_step
from tests.runtime.lab import MINUTE, Lab, Ledger


async def test_durable_call_inside_a_step_is_refused_and_not_retried(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def outer() -> None:
            ledger.note()
            await step.run("inner", ledger.note)

        await step.run("outer", outer)

    with pytest.raises(ExecutionFailed, match="'inner' is called inside a step; steps do not nest"):
        await lab.run(flow)
    assert ledger.entries == ["outer"]


async def test_durable_call_from_a_foreign_thread_is_refused(lab: Lab, ledger: Ledger) -> None:
    refusals: list[str] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        def elsewhere() -> None:
            for call in (lambda: asyncio.run(step.run("work", ledger.note)), step.uuid):
                try:
                    call()
                except InvalidOption as error:
                    refusals.append(str(error))

        await asyncio.to_thread(elsewhere)

    await lab.run(flow)

    assert len(refusals) == 2
    assert "'work' is called outside its workflow" in refusals[0]
    assert "step.map" in refusals[0]
    assert not ledger.entries


async def test_refused_name_is_told_by_what_it_was_to_name(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        with pytest.raises(InvalidOption, match="cannot name a sleep"):
            await step.sleep("a/b", "1h")
        with pytest.raises(InvalidOption, match="cannot name a sleep"):
            await step.sleep_until("a/b", datetime(2030, 1, 1, tzinfo=UTC))

    await lab.run(flow)

    with pytest.raises(InvalidOption, match="cannot name a workflow"):
        lab.app.workflow(id="a/b")(flow.function)
    with pytest.raises(InvalidOption, match="cannot name a queue"):
        lab.app.workflow(id="other", queue="a/b")(flow.function)


async def test_step_kept_beyond_its_workflow_is_refused(lab: Lab, ledger: Ledger) -> None:
    kept: list[Step] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        kept.append(step)

    await lab.run(flow)

    with pytest.raises(InvalidOption, match="outside its workflow"):
        await kept[0].run("work", ledger.note)


async def test_current_step_is_known_inside_a_step_only(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        name = await step.run("work", lambda: current_step().name)
        with pytest.raises(InvalidOption, match="no step is running"):
            current_step()
        with pytest.raises(InvalidOption, match="no step is running"):
            _ = step.idempotency_key
        return name

    assert await lab.run(flow) == "work"


@pytest.mark.parametrize(
    "call",
    [
        lambda step: step.run("work"),
        lambda step: step.run("work", 7),
        lambda step: step.run(None, print),
        lambda step: step.run(lambda: 1),
        lambda step: step.run("a/b", print),
        lambda step: step.run("", print),
        lambda step: step.sleep("pause", "soon"),
        lambda step: step.sleep("pause", float("nan")),
        lambda step: step.sleep("pause", timedelta(days=10**6)),
        lambda step: step.sleep_until("pause", datetime(2030, 1, 1)),  # noqa: DTZ001
        lambda step: step.map("items", print, [], concurrency=0),
        lambda step: step.map("items", print, [], concurrency=10**9),
        lambda step: step.map("items", print, [], concurrency="20"),
        lambda step: step.map("items", print, None),
        lambda step: step(timeout="0s").run("work", print),
        lambda step: step(timeout=-MINUTE).run("work", print),
        lambda step: step(retry=3).run("work", print),
        lambda step: step.sleep_until("pause", "24h"),
        lambda step: step.sleep_until("pause", None),
        lambda step: step.effect("charge", print, verify="by the key"),
        lambda step: step.call("child", print),
    ],
)
async def test_call_that_makes_no_sense_is_refused_before_anything_happens(lab: Lab, call: Any) -> None:
    """F53, F55, F76."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        with pytest.raises(InvalidOption):
            await call(step)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await lab.result(handle)

    assert await lab.steps(handle) == {}
