"""Workflows that are plain functions: they run in threads and get what async ones get."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from datetime import timedelta
from typing import Any

import pytest

from stepwell import ExecutionFailed, InvalidOption, Permanent, Retry, Status, Step, StepFailed, SyncStep, current_step
from tests.runtime.lab import DAY, Gate, Lab, Ledger

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


def both(lab: Lab, ledger: Ledger) -> tuple[Any, Any]:
    """The same workflow in its two forms."""

    def fail() -> None:
        ledger.note()
        raise Permanent("no")

    @lab.app.workflow
    async def in_async(number: int, step: Step) -> list[Any]:
        found: list[Any] = [
            await step.run("double", ledger.double, number),
            await step.map("many", ledger.double, [1, 2]),
        ]
        began = await step.now()
        await step.sleep("night", "12h")
        await step.sleep_until("noon", began + DAY)
        try:
            await step.run("fail", fail)
        except StepFailed as failed:
            found.append([failed.step, failed.message])
        ids = [str(step.uuid()), step.random()]
        return [*found, (await step.now() - began).total_seconds(), len(set(ids)), step.execution_id.version]

    @lab.app.workflow
    def in_plain(number: int, step: SyncStep) -> list[Any]:
        found: list[Any] = [step.run("double", ledger.double, number), step.map("many", ledger.double, [1, 2])]
        began = step.now()
        step.sleep("night", "12h")
        step.sleep_until("noon", began + DAY)
        try:
            step.run("fail", fail)
        except StepFailed as failed:
            found.append([failed.step, failed.message])
        ids = [str(step.uuid()), step.random()]
        return [*found, (step.now() - began).total_seconds(), len(set(ids)), step.execution_id.version]

    return in_async, in_plain


async def test_plain_workflow_does_what_an_async_one_does(lab: Lab, ledger: Ledger) -> None:
    results, histories, effects = [], [], []
    for workflow in both(lab, ledger):
        handle = await lab.app.start(workflow, 4)
        ledger.entries.clear()
        async with lab.worker():
            results.append(await lab.result(handle))
        histories.append([(key, one.kind, one.is_failure) for key, one in (await lab.steps(handle)).items()])
        effects.append(sorted(ledger.entries))

    assert results[0] == results[1] == [8, [2, 4], ["fail", "no"], 86_400.0, 2, 7]
    assert histories[0] == histories[1]
    assert effects[0] == effects[1] == ["double", "fail", "many/#0", "many/#1"]


async def test_sleeping_plain_workflow_holds_no_thread(lab: Lab) -> None:
    """Promise 8."""

    @lab.app.workflow
    def flow(step: SyncStep) -> None:
        step.sleep("night", "12h")

    handles = await lab.app.start_many(flow, [{}] * 30)
    lab.store.is_hurried = False
    async with lab.worker(workflow_threads=2):
        for handle in handles:
            assert (await lab.at_rest(handle)).status is Status.PENDING
        lab.store.pass_time(DAY)
        for handle in handles:
            await lab.result(handle)


async def test_suspension_of_a_plain_workflow_cannot_be_swallowed(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        try:
            step.sleep("night", "12h")
        except BaseException:
            step.run("too early", ledger.note)
            return "too early"
        return "slept"

    assert await lab.run(flow) == "slept"
    assert not ledger.entries


async def test_handed_back_plain_workflow_is_cut_at_its_next_call(lab: Lab, ledger: Ledger) -> None:
    """F100: also when the call it waits for is cut, `except Exception` does not see it."""
    gate = Gate()

    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        try:
            return step.run("slow", gate)
        except Exception:
            step.run("instead", ledger.note)
            return "instead"

    handle = await lab.app.start(flow)
    async with lab.worker(grace=timedelta(milliseconds=10)):
        await gate.begun.wait()
    gate.let_go.set()

    async with lab.worker():
        assert await lab.result(handle) == "through"
    assert not ledger.entries


async def test_plain_steps_and_workflows_run_off_the_event_loop(lab: Lab) -> None:
    here = threading.current_thread()

    @lab.app.workflow
    def flow(step: SyncStep) -> list[bool]:
        inside = step.run("plain", lambda: threading.current_thread().name)
        return [threading.current_thread() is here, inside == here.name]

    assert await lab.run(flow) == [False, False]


async def test_steps_know_the_context_of_their_workflow(lab: Lab) -> None:
    async def in_async() -> str:
        return f"{tenant.get()} {current_step().name}"

    def in_plain() -> str:
        tenant.set("changed in a thread")
        return f"{current_step().name}"

    @lab.app.workflow
    async def flow(step: Step) -> list[str]:
        tenant.set("acme")
        return [await step.run("plain", in_plain), await step.run("async", in_async), tenant.get()]

    @lab.app.workflow
    def plain_flow(step: SyncStep) -> list[str]:
        tenant.set("acme")
        return [step.run("plain", in_plain), step.run("async", in_async), tenant.get()]

    for workflow in (flow, plain_flow):
        assert await lab.run(workflow) == ["plain", "acme async", "acme"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_durable_call_inside_a_step_of_a_plain_workflow_is_refused(
    lab: Lab, ledger: Ledger, is_async: bool
) -> None:
    """Inside an async step the event loop would wait for itself."""

    @lab.app.workflow
    def flow(step: SyncStep) -> None:
        async def in_async() -> None:
            step.run("inner", ledger.note)

        def in_plain() -> None:
            step.run("inner", ledger.note)

        step.run("outer", in_async if is_async else in_plain)

    with pytest.raises(ExecutionFailed, match="steps do not nest"):
        await lab.run(flow)
    assert not ledger.entries


@pytest.mark.parametrize("with_context", [False, True])
async def test_durable_call_from_a_foreign_thread_of_a_plain_workflow(lab: Lab, with_context: bool) -> None:
    """Refused, unless the thread was given the workflow's context."""

    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        def call() -> str:
            return step.run("work", lambda: "done")

        context = copy_context()
        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(context.run, call).result() if with_context else pool.submit(call).result()
            except InvalidOption as error:
                return str(error)

    found = await lab.run(flow)

    assert found == "done" if with_context else "'work' is called outside its workflow" in found


async def test_step_parameter_of_the_wrong_form_is_refused_at_once(lab: Lab) -> None:
    async def wants_step(step: SyncStep) -> None:
        """An async function."""

    def wants_sync_step(step: Step) -> None:
        """A plain one."""

    functions: list[tuple[Callable[..., Any], str]] = [(wants_step, "as Step"), (wants_sync_step, "as SyncStep")]
    for function, advice in functions:
        with pytest.raises(InvalidOption, match=advice):
            lab.app.workflow(function)


async def test_retries_of_a_plain_workflow_hold_no_thread(lab: Lab) -> None:
    failures = [ValueError("once"), ValueError("twice")]

    def flaky() -> str:
        if failures:
            raise failures.pop()
        return "ok"

    @lab.app.workflow
    def flow(step: SyncStep) -> str:
        return step(retry=Retry(3, first_delay="1d"), timeout="1h").run("work", flaky)

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) == "ok"

    assert (await lab.see(handle)).passes == 3


async def test_plain_workflow_that_outlasts_the_worker_does_nothing_more(lab: Lab, ledger: Ledger) -> None:
    """F59: its thread cannot be stopped, but its calls can."""
    begun, may_go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @lab.app.workflow
    def flow(step: SyncStep) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            may_go_on.wait(10)
            step.run("late", ledger.note)
        finally:
            ended.set()

    await lab.app.start(flow)
    async with lab.worker(grace=timedelta(milliseconds=10)):
        await begun.wait()
    may_go_on.set()
    await asyncio.to_thread(ended.wait, 10)

    assert not ledger.entries
