"""A pass that closes: what runs may end and is kept, what swallows the end is left behind, nothing else happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stepwell import Execution, ExecutionCancelled, Handle, Status, Step
from stepwell.runtime import passes
from tests.runtime.lab import HOUR, Gate, Lab, Ledger
from tests.runtime.test_waiting import turns_of_the_loop


async def gathered(*branches: Awaitable[Any]) -> None:
    await asyncio.gather(*branches)


async def grouped(*branches: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for branch in branches:
            group.create_task(branch)


TOO_OFTEN = 100 * passes.MAX_REFUSALS

Together = Callable[..., Awaitable[None]]
both_ways = pytest.mark.parametrize("together", [gathered, grouped])


class Siblings:
    """Two branches: one runs a long step, the other makes its next call when the pass is closing."""

    def __init__(self, lab: Lab, together: Together) -> None:
        self.lab, self.slow, self.turn = lab, Gate(), Gate()
        self._has_turned = asyncio.Event()

        @lab.app.workflow
        async def flow(step: Step) -> None:
            async def other() -> None:
                await step.run("turn", self.turn)
                self._has_turned.set()
                await step.run("refused", lab.ledger.note)

            await together(step.run("slow", self.slow), other())

        self.flow = flow

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Handle[Any]]:
        """Both branches are in the middle of a step; leaving the block, the other one's call is cut, then both end."""
        handle = await self.lab.app.start(self.flow)
        async with self.lab.worker() as worker:
            for gate in (self.slow, self.turn):
                await gate.begun.wait()
            yield handle
            worker.stop()
            self.turn.let_go.set()
            await self._has_turned.wait()
            await turns_of_the_loop()
            self.slow.let_go.set()


@both_ways
async def test_draining_waits_for_the_steps_of_sibling_branches(lab: Lab, ledger: Ledger, together: Together) -> None:
    """F59, F100: a branch that is refused its next call does not take the running step of another one along."""
    siblings = Siblings(lab, together)

    async with siblings.running() as handle:
        pass

    assert not siblings.slow.was_cut.is_set()
    assert set(await lab.steps(handle)) == {"slow", "turn"}
    assert (await lab.see(handle)).status is Status.PENDING
    assert not ledger.entries


@both_ways
async def test_cancel_waits_for_the_steps_of_sibling_branches(lab: Lab, ledger: Ledger, together: Together) -> None:
    """F51, F59."""
    siblings = Siblings(lab, together)

    async with siblings.running() as handle:
        await handle.cancel()

    assert not siblings.slow.was_cut.is_set()
    assert set(await lab.steps(handle)) == {"slow", "turn"}
    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert not ledger.entries


@both_ways
async def test_divergence_waits_for_the_steps_of_sibling_branches(lab: Lab, together: Together) -> None:
    """F59: the code was changed in one branch; what the other one does is stored before the execution is parked."""
    slow, numbers = Gate(), [1, 2]

    @lab.app.workflow
    async def flow(step: Step) -> None:
        first = step.run("first", lab.ledger.double, numbers.pop(0))
        await together(first, step.run("slow", slow) if not numbers else step.sleep("pause", "1h"))

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    lab.store.pass_time(HOUR)
    async with lab.worker():
        await slow.begun.wait()
        await turns_of_the_loop()
        slow.let_go.set()
        seen = await lab.at_rest(handle)

    assert not slow.was_cut.is_set()
    assert set(await lab.steps(handle)) == {"first", "pause", "slow"}
    assert "parked" in (seen.why or "")


# --- what swallows the end ----------------------------------------------------------------------------------------


@pytest.fixture
async def impatient(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stubborn]:
    """User code that does not end is left behind within a moment; it ends with the test."""
    monkeypatch.setattr(passes, "SETTLE_SECONDS", 0.05)
    stubborn = Stubborn(lab)
    yield stubborn
    stubborn.may_end = True


class Stubborn:
    """A workflow that swallows whatever would end it, and goes on."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.may_end = lab, False

    async def swallow(self, call: Callable[[], Awaitable[Any]]) -> None:
        while not self.may_end:
            try:
                await call()
            except BaseException:
                self.lab.ledger.note("swallowed")
                assert len(self.lab.ledger.entries) < TOO_OFTEN, "the event loop is held up"

    async def rest(self, handle: Handle[Any]) -> Execution:
        """What becomes of the execution, on a worker that works for others as before."""

        @self.lab.app.workflow
        async def another() -> str:
            return "done"

        self.lab.store.is_hurried = False
        async with self.lab.worker():
            seen = await self.lab.at_rest(handle)
            assert await self.lab.result(await self.lab.app.start(another)) == "done"
        return seen


async def test_loop_that_swallows_its_suspension_is_left_behind_and_sleeps(
    impatient: Stubborn, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """F57: the event loop is not held up either."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await impatient.swallow(lambda: step.sleep("night", "12h"))

    began = lab.store.now()
    seen = await impatient.rest(await lab.app.start(flow))

    assert (seen.status, seen.due_at) == (Status.PENDING, began + 12 * HOUR)
    assert lab.ledger.counts["swallowed"] >= passes.MAX_REFUSALS
    assert "does not end" in caplog.text


async def test_branch_that_never_ends_is_left_behind_and_the_execution_sleeps(impatient: Stubborn, lab: Lab) -> None:
    """F57."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(step.sleep("night", "12h"), impatient.swallow(asyncio.Event().wait))

    seen = await impatient.rest(await lab.app.start(flow))

    assert (seen.status, seen.due_at) == (Status.PENDING, lab.store.now() + 12 * HOUR)


async def test_workflow_that_never_ends_is_left_behind_and_the_execution_sleeps(
    impatient: Stubborn, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """F57."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        branch = asyncio.create_task(step.sleep("night", "12h"))
        await impatient.swallow(asyncio.Event().wait)
        await branch

    seen = await impatient.rest(await lab.app.start(flow))

    assert (seen.status, seen.due_at) == (Status.PENDING, lab.store.now() + 12 * HOUR)
    assert "does not end" in caplog.text


async def test_workflow_that_swallows_its_timeout_fails_and_is_left_behind(impatient: Stubborn, lab: Lab) -> None:
    @lab.app.workflow(timeout="10ms")
    async def flow(step: Step) -> None:
        await impatient.swallow(asyncio.Event().wait)

    seen = await impatient.rest(await lab.app.start(flow))

    assert seen.status is Status.FAILED
    assert "took longer than its timeout" in (seen.why or "")


# --- what user code cancels itself --------------------------------------------------------------------------------


async def test_step_that_the_workflow_cancelled_hangs_on_replay_until_it_is_cancelled_again(
    lab: Lab, ledger: Ledger
) -> None:
    """F59: its body does not begin again on every pass, and the workflow does again what it did."""
    slow = Gate()

    async def body() -> str:
        ledger.note()
        return await slow()

    @lab.app.workflow
    async def flow(step: Step) -> bool:
        branch = asyncio.create_task(step.run("slow", body))
        await step.run("until it has begun", slow.begun.wait)
        await turns_of_the_loop()
        assert not branch.done()
        branch.cancel()
        await asyncio.wait([branch])
        await step.sleep("pause", "1h")
        return branch.cancelled()

    handle = await lab.app.start(flow)
    async with lab.worker():
        assert await lab.result(handle) is True

    assert (await lab.see(handle)).passes == 2
    assert ledger.counts["slow"] == 1
    stored = (await lab.steps(handle))["slow"]
    assert stored.is_failure
    assert b"CancelledByWorkflow" in (stored.value or b"")


async def test_wait_that_the_workflow_cancelled_is_not_waited_for(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        short = asyncio.create_task(step.sleep("short", "1h"))
        for _ in range(2):  # `short` waits before the second is stored
            await step.run("work", ledger.note)
        short.cancel()
        await step.sleep("long", "9h")

    began = lab.store.now()
    seen = await lab.run_to_rest(await lab.app.start(flow))

    assert seen.due_at == began + 9 * HOUR
    assert seen.why is not None
    assert "timer 'long'" in seen.why
