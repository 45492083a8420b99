"""Waits and cancels at their edges: shared topics, sleeps that end meanwhile, the largest payloads, hostile options."""

from __future__ import annotations

import asyncio
import random
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell import Cancelled, ExecutionCancelled, ExecutionFailed, Step, SyncStep
from stepwell.codec import codec_for
from stepwell.core.payload import PAYLOAD_LIMIT_BYTES
from stepwell.errors import PayloadTooLarge
from tests.runtime.lab import DAY, Gate, Lab, Ledger


async def test_branches_that_wait_for_one_topic_get_one_event_each_also_in_first(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[Any]:
        one, two, three = await asyncio.gather(
            step.wait_for_event("go"),
            step.first("race", go=step.event("go"), late=step.timer("7d")),
            step.first("other-race", go=step.event("go"), late=step.timer("7d")),
        )
        return sorted([one, two.value, three.value])

    handle = await lab.app.start(flow)
    for number in range(3):
        await handle.send_event("go", number)
    async with lab.worker():
        assert await lab.result(handle) == [0, 1, 2]


async def test_clean_up_of_a_sleep_goes_on_though_its_time_has_come_meanwhile(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.sleep("rent", "1m")
        finally:
            await step.sleep("calm", "2m")
            await step.run("release", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()
    lab.store.is_hurried = True
    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["release"]


async def test_parked_execution_ends_at_its_deadline(lab: Lab) -> None:
    is_new = False

    @lab.app.workflow
    async def flow(step: Step) -> None:
        if is_new:
            await step.sleep("one", "1s")
        else:
            await step.run("one", int)
        await step.sleep("two", "5m")

    handle = await lab.app.start(flow, deadline="1h")
    await lab.run_to_rest(handle)
    is_new = True
    lab.store.is_hurried = True
    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="expired"):
            await lab.result(handle)


async def test_deadline_in_the_last_second_of_all_times_is_kept(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> int:
        await step.sleep("one", "1h")
        return 1

    handle = await lab.app.start(flow, deadline=datetime.max.replace(tzinfo=UTC))
    async with lab.worker():
        assert await lab.result(handle) == 1


@pytest.mark.parametrize("tags", [["a\0"], ["a\nb"]])
async def test_tags_of_a_child_are_checked_as_those_of_a_start(lab: Lab, tags: list[str]) -> None:
    @lab.app.workflow
    async def child() -> int:
        return 1

    @lab.app.workflow
    async def flow(step: Step, tags: list[str]) -> None:
        await step.start("c", child, tags=tags)

    with pytest.raises(ExecutionFailed, match="tag"):
        await lab.run(flow, tags)


async def test_event_to_what_is_no_execution_id_is_refused(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.send_event("go", to="abc")  # type: ignore[arg-type]

    with pytest.raises(ExecutionFailed, match="is no execution id"):
        await lab.run(flow)


async def test_first_takes_only_waits(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        not_a_wait = step.sleep("x", "1s")
        try:
            await step.first("f", x=not_a_wait)  # type: ignore[arg-type]
        finally:
            not_a_wait.close()

    with pytest.raises(ExecutionFailed, match=r"step\.event"):
        await lab.run(flow)


async def test_wait_of_a_first_is_named_as_a_step_is(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.first("f", **{"x\0": step.timer("1s")})

    with pytest.raises(ExecutionFailed, match="cannot name"):
        await lab.run(flow)


def biggest() -> str:
    """The longest text of a kind that can be stored."""
    letters = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=2 * PAYLOAD_LIMIT_BYTES))
    low, high = 0, len(letters)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            codec_for(str).encode(letters[:middle])
            low = middle
        except PayloadTooLarge:
            high = middle
    return letters[:low]


async def test_largest_event_that_can_be_sent_can_be_taken(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> list[int]:
        one = await step.wait_for_event("go", type=str)
        two = await step.first("f", x=step.event("go", type=str))
        return [len(one or ""), len(two.value)]

    big = biggest()
    handle = await lab.app.start(flow)
    await handle.send_event("go", big)
    await handle.send_event("go", big)
    async with lab.worker():
        assert await lab.result(handle) == [len(big)] * 2


async def test_largest_result_of_a_child_can_win_a_first(lab: Lab) -> None:
    big = biggest()

    @lab.app.workflow
    async def child() -> str:
        return big

    @lab.app.workflow
    async def flow(step: Step) -> int:
        return len((await step.first("f", x=step.child(child))).value)

    assert await lab.run(flow) == len(big)


async def test_workflow_that_runs_hears_why_it_is_cancelled(lab: Lab) -> None:
    gate = Gate()
    heard: list[str] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("slow", gate)
        try:
            await step.sleep("s", "1h")
        except Cancelled as cancelled:
            heard.append(str(cancelled))
            raise

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await handle.cancel(reason="car sold")
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert heard == ["car sold"]


async def test_plain_function_that_waits_is_told_and_cleans_up(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> None:
        try:
            step.wait_for_event("go")
        finally:
            step.run("release", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    async with lab.worker():
        await handle.cancel()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["release"]


async def test_time_outs_and_look_backs_reach_to_the_ends_of_time(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> Any:
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        one = await step.wait_for_event("go", timeout=last, since=first)
        two = await step.wait_for_event("go", timeout=timedelta(0), since="365000d")
        three = await step.wait_for_event("go", timeout=lab.store.now() - DAY)
        return [one, two, three]

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.send_event("go", 1)
    async with lab.worker():
        assert await lab.result(handle) == [1, None, None]
