"""A week-long approval in milliseconds: answered on day 3, never answered, called by others; wherever workers die."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell import App, ChildFailed, ExecutionCancelled, Handle, Status, Step, current_step
from stepwell.store.memory import MemoryStore
from stepwell.testing import Effects, Lab, Standstill, assert_durable, running

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = 1.0  # of this process's own work, at most, for weeks in the lab

app = App(MemoryStore())
done = Effects()


@dataclass(frozen=True)
class Approval:
    by: str
    is_granted: bool


async def note(what: str) -> None:
    done.add(what, key=current_step().idempotency_key)


@app.workflow
async def purchase(number: int, step: Step) -> str:
    await step.run("ask", note, f"{number} asked for")
    approval = await step.wait_for_event("approval", type=Approval, timeout="7d")
    if approval is None:
        await step.run("remind", note, f"{number} not answered")
        return "not answered"
    await step.run("order", note, f"{number} ordered")
    return f"granted by {approval.by}" if approval.is_granted else f"refused by {approval.by}"


@app.workflow
async def unlimited(step: Step) -> Any:
    return await step.wait_for_event("approval", key="4711")


@app.workflow
async def two_purchases(step: Step) -> list[str]:
    first = await step.call("first", purchase, 1)
    second = await step.first("second", granted=step.event("approval", key="2"), late=step.timer("14d"))
    await step.send_event("audit", second.name, key="audits")
    return [first, second.name, *(await step.map("more", purchase, [3, 4]))]


@app.workflow
async def forgiving(step: Step) -> str:
    try:
        return await step.call("child", purchase, 1)
    except ChildFailed as failed:
        await step.run("tidy", note, "tidied up")
        return str(failed.status)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    done.clear()
    async with running(app, now=NOON) as lab:
        began = time.process_time()
        yield lab
        assert time.process_time() - began < SECONDS


async def test_approval_of_the_third_day_is_the_result(lab: Lab) -> None:
    handle = await app.start(purchase, 7)
    await lab.advance("3d")
    assert await handle.status() is Status.WAITING

    sent = await handle.send_event("approval", Approval("Ada", is_granted=True))

    assert sent.waiting == 1
    assert await handle.result() == "granted by Ada"
    assert lab.now == NOON + timedelta(days=3)
    assert list(done) == ["7 asked for", "7 ordered"]


async def test_approval_that_nobody_gives_times_out_after_a_week(lab: Lab) -> None:
    handle = await app.start(purchase, 7)

    assert await handle.result() == "not answered"
    assert lab.now == NOON + timedelta(days=7)
    assert list(done) == ["7 asked for", "7 not answered"]


async def test_event_without_a_time_out_that_nobody_sends_is_named(lab: Lab) -> None:
    handle = await app.start(unlimited)

    with pytest.raises(Standstill, match="of 'unlimited' is waiting: event 'approval' with key '4711'"):
        await handle.result()

    await app.send_event("approval", 1, key="4711")
    assert await handle.result() == 1


async def test_children_and_races_take_no_time_either(lab: Lab) -> None:
    handle = await app.start(two_purchases)

    assert await handle.result() == ["not answered", "late", "not answered", "not answered"]
    assert lab.now == NOON + timedelta(days=7 + 14 + 7)


async def test_cancel_while_it_waits_lets_it_end(lab: Lab) -> None:
    handle = await app.start(two_purchases)
    await lab.advance("1d")

    await handle.cancel(reason="enough")

    with pytest.raises(ExecutionCancelled, match="enough"):
        await handle.result()
    await lab.settle()
    assert {one.status for one in await app.list()} == {Status.CANCELLED}


# --- wherever the worker dies -------------------------------------------------------------------------------------


async def grant(lab: Lab, handle: Handle[Any]) -> None:
    await lab.advance("3d")
    await handle.send_event("approval", Approval("Ada", is_granted=True))


async def refuse_child(lab: Lab, handle: Handle[Any]) -> None:
    await lab.advance("3d")
    (child,) = await app.list(workflow=purchase)
    await app.cancel(child.id)


async def test_approval_is_durable() -> None:
    found = await assert_durable(purchase, 7, effects=done, meanwhile=grant)

    assert (found.result, found.repeated) == ("granted by Ada", {})


async def test_its_time_out_is_durable() -> None:
    found = await assert_durable(purchase, 7, effects=done)

    assert (found.result, found.repeated) == ("not answered", {})


async def test_children_races_and_events_are_durable() -> None:
    found = await assert_durable(two_purchases, effects=done)

    assert found.result == ["not answered", "late", "not answered", "not answered"]
    assert found.repeated == {}


async def test_failed_child_is_durable() -> None:
    found = await assert_durable(forgiving, effects=done, meanwhile=refuse_child)

    assert (found.result, found.repeated) == ("cancelled", {})
