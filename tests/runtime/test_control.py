"""Pausing, resuming, forking, many at once: what an operator does, and the record of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from stepwell import (
    Bulk,
    ExecutionFailed,
    InvalidOption,
    NotAllowed,
    Permanent,
    Status,
    Step,
    UnknownExecution,
    UnknownStep,
    current_step,
)
from stepwell.core.model import ExecutionId, Order
from stepwell.store.identity import new_id
from tests.runtime.lab import Gate, Lab, Ledger


async def test_paused_execution_is_not_claimed_until_it_is_resumed(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("work", ledger.note)

    paused, other = await lab.app.start_many(flow, [{}, {}])
    assert await lab.app.pause(paused.id, by="ann", reason="wrong prices") is Status.PENDING
    async with lab.worker():
        await lab.result(other)
        assert (await lab.see(paused)).why == "paused by ann"
        assert ledger.counts["work"] == 1

        await lab.app.resume(paused.id, by="bob")
        await lab.result(paused)


async def test_running_execution_is_handed_back_after_its_running_step(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("first", gate)
        await step.run("second", ledger.note)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await lab.app.pause(handle.id, by="ann")
        gate.let_go.set()
        await lab.until(handle, lambda seen: seen.status is Status.PENDING)
        assert list(await lab.steps(handle)) == ["first"]

        await lab.app.resume(handle.id)
        await lab.result(handle)
    assert ledger.entries == ["second"]
    assert not gate.was_cut.is_set()


async def test_pause_after_one_that_was_taken_back_is_heard(
    lab: Lab, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is taken back after the worker was told, and before it has asked what is wanted."""
    first, second, has_asked = Gate(), Gate(), asyncio.Event()
    ask = lab.store.orders

    async def taken_back(ids: Sequence[ExecutionId]) -> dict[ExecutionId, Order]:
        if not has_asked.is_set():
            await lab.app.resume(handle.id)
        answer = await ask(ids)
        has_asked.set()
        return answer

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("first", first)
        await step.run("second", second)
        await step.run("third", ledger.note)

    monkeypatch.setattr(lab.store, "orders", taken_back)
    handle = await lab.app.start(flow)
    async with lab.worker():
        await first.begun.wait()
        await lab.app.pause(handle.id)
        first.let_go.set()
        await has_asked.wait()
        await second.begun.wait()
        await lab.app.pause(handle.id)
        second.let_go.set()

        await lab.until(handle, lambda seen: seen.status is Status.PENDING)

    assert list(await lab.steps(handle)) == ["first", "second"]
    assert ledger.entries == []


async def test_event_for_a_paused_execution_is_kept(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> Any:
        return await step.wait_for_event("go")

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await lab.app.pause(handle.id)
    await handle.send_event("go", 1)

    async with lab.worker():
        await lab.app.resume(handle.id)
        assert await lab.result(handle) == 1


async def test_what_has_ended_or_is_being_cancelled_is_not_paused(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.sleep("long", "1d")

    sleeping, new = await lab.app.start_many(flow, [{}, {}])
    await lab.run_to_rest(sleeping)
    await sleeping.cancel()
    await new.cancel()

    for handle in (sleeping, new):
        with pytest.raises(NotAllowed, match="cannot pause"):
            await lab.app.pause(handle.id)
    with pytest.raises(NotAllowed, match="cannot resume"):
        await lab.app.resume(sleeping.id)
    with pytest.raises(UnknownExecution):
        await lab.app.pause(new_id())


async def test_cancelling_a_paused_execution_lets_it_clean_up(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.sleep("long", "1d")
        finally:
            await step.run("undo", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await lab.app.pause(handle.id)
    await handle.cancel()
    async with lab.worker():
        await lab.until(handle, lambda seen: False)
    assert ledger.entries == ["undo"]


class Shop:
    """A workflow of three steps, of which the second refuses what is not positive."""

    def __init__(self, lab: Lab) -> None:
        @lab.app.workflow
        async def order(amount: int, step: Step) -> list[Any]:
            first = await step.run("look-up", lambda: amount)
            token = step.uuid()
            second = await step.run("pay", self.pay, first, str(token))
            return [second, await step.run("ship", lab.ledger.note), str(token)]

        self.flow, self.keys = order, list[str]()

    def pay(self, amount: int, token: str) -> int:
        self.keys.append(current_step().idempotency_key)
        if amount <= 0:
            raise Permanent(f"{token}: {amount}")
        return amount


async def test_fork_goes_on_from_a_step_with_the_same_uuid_and_a_key_of_its_own(lab: Lab, ledger: Ledger) -> None:
    shop = Shop(lab)
    async with lab.worker():
        old = await lab.app.start(shop.flow, 7)
        first = await lab.result(old)
        fork = await lab.app.fork(old.id, from_step="pay")
        assert await lab.result(fork) == first
        again = await lab.app.fork(fork.id, from_step="ship")
        assert await lab.result(again) == first
    assert len(set(shop.keys)) == len(shop.keys) == 2
    assert ledger.counts["ship"] == 3


async def test_fork_with_an_edited_result_continues_a_failed_execution(lab: Lab) -> None:
    shop = Shop(lab)
    async with lab.worker():
        failed = await lab.app.start(shop.flow, 0)
        with pytest.raises(ExecutionFailed):
            await lab.result(failed)
        with pytest.raises(ExecutionFailed):
            await lab.result(await lab.app.fork(failed.id))
        mended = await lab.app.fork(failed.id, edit={"look-up": 5})

        assert (await lab.result(mended))[0] == 5
        assert await failed.status() is Status.FAILED


async def test_fork_with_another_input_begins_without_history(lab: Lab) -> None:
    shop = Shop(lab)
    async with lab.worker():
        old = await lab.app.start(shop.flow, 7)
        await lab.result(old)
        assert (await lab.result(await lab.app.fork(old.id, 8)))[0] == 8
    with pytest.raises(InvalidOption, match="without history"):
        await lab.app.fork(old.id, 8, from_step="pay")


async def test_fork_names_the_step_that_is_not_there(lab: Lab) -> None:
    shop = Shop(lab)
    old = await lab.app.start(shop.flow, 7)
    async with lab.worker():
        await lab.result(old)
    with pytest.raises(UnknownStep, match="'pya'"):
        await lab.app.fork(old.id, from_step="pya")
    with pytest.raises(UnknownStep, match="'refund'"):
        await lab.app.fork(old.id, edit={"refund": 1})
    with pytest.raises(UnknownExecution):
        await lab.app.fork(new_id())


async def test_retry_of_a_parent_retries_the_children_whose_failure_ended_it(lab: Lab, ledger: Ledger) -> None:
    broken = [True]

    @lab.app.workflow
    async def leaf(step: Step) -> str:
        await step.run("before", ledger.note)
        if broken[0]:
            raise ValueError("no")
        return "leaf"

    @lab.app.workflow
    async def middle(step: Step) -> str:
        return await step.call("leaf", leaf)

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.call("middle", middle)

    handle = await lab.app.start(flow)
    async with lab.worker():
        with pytest.raises(ExecutionFailed):
            await lab.result(handle)
        broken[0] = False
        await lab.app.retry(handle.id)
        assert await lab.result(handle) == "leaf"
    assert ledger.counts["before"] == 1


async def test_fork_from_a_map_runs_each_of_its_items_once_more(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> Any:
        await step.run("fetch", ledger.note)
        return [await step.map("each", ledger.double, [1, 2, 3]), str(step.uuid())]

    async with lab.worker():
        old = await lab.app.start(flow)
        first = await lab.result(old)
        assert await lab.result(await lab.app.fork(old.id, from_step="each")) == first
        assert await lab.result(await lab.app.fork(old.id)) == first
    assert ledger.counts["fetch"] == 1
    assert sum(entry.startswith("each") for entry in ledger.entries) == 6


async def test_fork_with_an_edited_failure_goes_on_after_the_step(lab: Lab) -> None:
    shop = Shop(lab)
    async with lab.worker():
        failed = await lab.app.start(shop.flow, 0)
        with pytest.raises(ExecutionFailed):
            await lab.result(failed)
        assert (await lab.result(await lab.app.fork(failed.id, edit={"pay": 5})))[0] == 5
    assert len(shop.keys) == 1


async def test_fork_of_a_parent_calls_a_child_of_its_own(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def leaf(step: Step) -> None:
        await step.run("work", ledger.note)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.call("leaf", leaf)
        await step.run("last", ledger.note)

    async with lab.worker():
        old = await lab.app.start(flow)
        await lab.result(old)
        await lab.result(await lab.app.fork(old.id, from_step="last"))
        assert ledger.counts == {"work": 1, "last": 2}
        await lab.result(await lab.app.fork(old.id, from_step="leaf"))
        assert ledger.counts == {"work": 2, "last": 3}


async def test_bulk_call_counts_first_and_then_does_it_to_what_the_filter_gives(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(number: int, step: Step) -> None:
        await step.sleep("long", "1d")

    @lab.app.workflow
    async def other(step: Step) -> None:
        await step.sleep("long", "1d")

    handles = await lab.app.start_many(flow, range(1_200))
    spared = await lab.app.start(other)

    assert await lab.app.cancel_many(workflow=flow, dry_run=True) == Bulk(matched=1_200, done=0)
    assert await handles[0].status() is Status.PENDING
    assert await lab.app.pause_many(workflow=flow, status="pending") == Bulk(1_200, 1_200)
    assert await lab.app.resume_many(workflow=flow) == Bulk(1_200, 1_200)
    assert await lab.app.fork_many(workflow=other) == Bulk(1, 1)
    assert await lab.app.cancel_many(workflow=flow, reason="sold out") == Bulk(1_200, 1_200)
    assert await lab.app.cancel_many(workflow=flow, status="cancelled") == Bulk(1_200, 1_200)
    assert await lab.app.retry_many(workflow=flow, status="completed") == Bulk(0, 0)
    assert await spared.status() is Status.PENDING
    with pytest.raises(InvalidOption, match="which executions"):
        await lab.app.cancel_many()


async def test_audit_says_who_did_what_when_and_why(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.sleep("long", "1d")

    handle = await lab.app.start(flow)
    await lab.app.pause(handle.id, by="ann", reason="look at it")
    await lab.app.resume(handle.id, by="bob")
    fork = await lab.app.fork(handle.id, by="cy")
    await lab.app.cancel(handle.id, reason="done with it", force=True, by="ann")
    await lab.app.retry(handle.id)

    told = [(record.actor, record.action, record.detail) for record in reversed(await lab.app.audit(handle.id))]

    assert told[:4] == [
        ("ann", "pause", "look at it"),
        ("bob", "resume", None),
        ("cy", "fork", str(fork.id)),
        ("ann", "force-cancel", "done with it"),
    ]
    assert told[4][1] == "retry"
    assert "@" in told[4][0]
    last = await lab.app.audit(limit=1)
    assert len(await lab.app.audit(before=last[0].number)) == 4
    assert await lab.app.audit(UUID(int=0)) == []
