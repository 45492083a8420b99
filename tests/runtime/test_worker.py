"""What a worker takes, in which pieces, and how it leaves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from stepwell import App, InvalidOption, Retry, Status, Step
from stepwell.core import polling
from stepwell.core.model import Claim, ClaimRequest, SessionId, WorkerInfo
from stepwell.runtime.worker import Worker
from stepwell.store.clock import VirtualClock
from tests.runtime.lab import DAY, HOUR, Gate, Lab, LabStore, Ledger


class TickingClock(VirtualClock):
    """A millisecond passes whenever somebody looks."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


async def test_start_wakes_an_idle_worker(lab: Lab) -> None:
    @lab.app.workflow
    async def flow() -> str:
        return "done"

    async with lab.worker():
        for _ in range(20):
            assert await lab.result(await lab.app.start(flow)) == "done"


async def test_delayed_execution_begins_at_its_time(lab: Lab) -> None:
    began = lab.store.now()

    @lab.app.workflow
    async def flow(step: Step) -> float:
        return (await step.now() - began).total_seconds()

    handle = await lab.app.start(flow, delay="36h")
    async with lab.worker():
        assert await lab.result(handle) == 36 * 3600


async def test_no_more_executions_run_at_once_than_a_worker_may(lab: Lab, ledger: Ledger) -> None:
    """F83: in one process."""
    running: set[int] = set()

    @lab.app.workflow
    async def flow(number: int, step: Step) -> None:
        running.add(number)
        ledger.note(str(len(running)))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        await step.run("work", int)
        running.remove(number)

    async with lab.worker(concurrency=3):
        for handle in await lab.app.start_many(flow, range(40)):
            await lab.result(handle)

    assert set(ledger.entries) == {"1", "2", "3"}


async def test_running_execution_is_not_taken_again_by_any_worker(lab: Lab, ledger: Ledger) -> None:
    """F2, F18: though its worker goes on looking, and another one does."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        ledger.note("pass")
        return await step.run("slow", gate)

    @lab.app.workflow
    async def other() -> None:
        return None

    handle = await lab.app.start(flow)
    async with lab.worker(), lab.worker():
        await gate.begun.wait()
        for _ in range(20):
            await lab.result(await lab.app.start(other))
        gate.let_go.set()
        assert await lab.result(handle) == "through"

    assert ledger.entries == ["pass"]


async def test_execution_of_an_unknown_workflow_is_left_for_a_worker_that_has_it(lab: Lab) -> None:
    """F65."""

    @lab.app.workflow
    async def here() -> str:
        return "here"

    elsewhere = App(lab.store)

    @elsewhere.workflow
    async def there() -> str:
        return "there"

    waiting, handle = await elsewhere.start(there), await lab.app.start(here)
    lab.store.is_hurried = False
    async with lab.worker():
        assert await lab.result(handle) == "here"
        seen = await lab.see(waiting)

    assert (seen.status, seen.passes) == (Status.PENDING, 0)
    assert seen.why is not None
    assert "no worker has this workflow" in seen.why
    lab.app = elsewhere
    async with lab.worker():
        assert await lab.result(waiting) == "there"


async def test_worker_takes_from_its_queues_only(lab: Lab) -> None:
    @lab.app.workflow(queue="slow")
    async def slow() -> None:
        return None

    @lab.app.workflow
    async def quick() -> None:
        return None

    waiting, handle = await lab.app.start(slow), await lab.app.start(quick)
    lab.store.is_hurried = False
    async with lab.worker(queues=("default",)):
        await lab.result(handle)
        assert await waiting.status() is Status.PENDING
    async with lab.worker():
        await lab.result(waiting)


async def test_worker_without_workflows_or_without_slots_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidOption, match="no workflows"):
        await lab.app.new_worker(lab.settings)

    @lab.app.workflow
    async def flow() -> None:
        return None

    with pytest.raises(InvalidOption, match="concurrency is 0"):
        async with lab.worker(concurrency=0):
            pass


# --- leaving ------------------------------------------------------------------------------------------------------


async def test_leaving_worker_lets_running_steps_end_and_keeps_their_results(lab: Lab, ledger: Ledger) -> None:
    """F100."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        found = await step.run("slow", gate)
        await step.run("next", ledger.note)
        return found

    handle = await lab.app.start(flow)
    async with lab.worker() as worker:
        await gate.begun.wait()
        worker.stop()
        for _ in range(100):  # turns of the event loop: in a few of them it could have cut the step
            await asyncio.sleep(0)
        gate.let_go.set()
    left = await lab.see(handle)

    assert left.status is Status.PENDING
    assert left.due_at == lab.store.now()
    assert list(await lab.steps(handle)) == ["slow"]
    assert not ledger.entries
    async with lab.worker():
        assert await lab.result(handle) == "through"


async def test_step_that_outlasts_its_grace_is_cut_and_handed_back(lab: Lab) -> None:
    """F100: nothing is marked failed, nothing waits for a lease to run out."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker(grace=timedelta(milliseconds=10)):
        await gate.begun.wait()
    left = await lab.see(handle)

    assert gate.was_cut.is_set()
    assert (left.status, left.crashes, left.due_at) == (Status.PENDING, 0, lab.store.now())
    gate.let_go.set()
    async with lab.worker():
        assert await lab.result(handle) == "through"


async def test_leaving_worker_hands_back_what_waits_with_what_it_waits_for(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(step.sleep("night", "12h"), step.run("slow", gate))

    began = lab.store.now()
    handle = await lab.app.start(flow)
    async with lab.worker(grace=timedelta(milliseconds=10)):
        await gate.begun.wait()
    gate.let_go.set()
    async with lab.worker():
        await lab.result(handle)

    assert lab.store.now() - began == 12 * HOUR


async def test_leaving_worker_takes_nothing_more(lab: Lab, ledger: Ledger) -> None:
    """F5: also not what others hand back while it drains."""
    gate = Gate()

    @lab.app.workflow
    async def slow(step: Step) -> None:
        await step.run("slow", gate)

    @lab.app.workflow
    async def quick(step: Step) -> None:
        await step.run("quick", ledger.note)

    await lab.app.start(slow)
    async with lab.worker() as worker:
        await gate.begun.wait()
        worker.stop()
        for handle in await lab.app.start_many(quick, [{}] * 5):
            assert await handle.status() is Status.PENDING
        gate.let_go.set()

    assert not ledger.entries
    assert (await lab.store.count())[Status.RUNNING] == 0


async def test_rolling_restart_under_load_loses_and_repeats_nothing(lab: Lab, ledger: Ledger) -> None:
    """F100."""

    @lab.app.workflow
    async def flow(number: int, step: Step) -> int:
        for part in range(4):
            await step.run(f"{number}-{part}", ledger.note)
        return number

    handles = await lab.app.start_many(flow, range(60))
    for _ in range(6):
        async with lab.worker(concurrency=7):
            await lab.result(handles.pop())
    async with lab.worker():
        for handle in handles:
            await lab.result(handle)

    assert len(ledger.entries) == 240
    assert set(ledger.counts.values()) == {1}


async def test_worker_whose_task_is_cancelled_hands_everything_back(lab: Lab) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    worker = Worker(lab.store, lab.app.registry, replace(lab.settings, grace=timedelta(milliseconds=10)))
    running = asyncio.create_task(worker.run())
    await gate.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await lab.see(handle)).status is Status.PENDING
    gate.let_go.set()
    async with lab.worker():
        assert await lab.result(handle) == "through"


# --- many, and large ones -----------------------------------------------------------------------------------------


async def test_thousands_that_fall_due_together_do_not_keep_out_what_is_new(lab: Lab, ledger: Ledger) -> None:
    """F54, F99: who is due longest is taken first, in bounded claims; `stampede` of the bench does it with 100,000."""

    @lab.app.workflow
    async def sleeper(step: Step) -> None:
        await step.sleep_until("dawn", dawn)
        ledger.note("sleeper")

    @lab.app.workflow
    async def fresh() -> None:
        ledger.note("fresh")

    dawn = lab.store.now() + DAY
    handles = await lab.app.start_many(sleeper, [{}] * 600)
    lab.store.is_hurried = False
    async with lab.worker(concurrency=100):
        for handle in handles:
            await lab.at_rest(handle)
        lab.store.clock.advance(DAY + HOUR)
        new = await lab.app.start(fresh)
        for session, known in lab.store.sessions.items():
            lab.store.beat(session, lease_for=known.lease_for)
        await lab.result(new)
        for handle in handles:
            await lab.result(handle)

    assert ledger.counts == {"sleeper": 600, "fresh": 1}


class AskedStore(LabStore):
    """Notes how many executions each claim took."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    async def claim(self, session: SessionId, request: ClaimRequest) -> Claim:
        claim = await super().claim(session, request)
        self.taken += [len(claim.executions)] if claim.executions else []
        return claim


async def test_executions_with_long_histories_are_claimed_a_few_at_a_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F74: all that a claim takes comes in one answer, which has to fit into memory."""
    monkeypatch.setattr(polling, "CLAIM_BYTES", 10_000)
    store = lab.store = AskedStore()
    lab.app = App(store)

    @lab.app.workflow
    async def flow(number: int, step: Step) -> None:
        await step.run("fetch", lambda: "x" * 1_000)
        for _ in range(2):
            await step.sleep("pause", "1h")

    handles = await lab.app.start_many(flow, range(60))
    async with lab.worker():
        for handle in handles:
            await lab.result(handle)

    assert store.taken[:2] == [25, 35]  # nothing is known yet, and nothing is stored
    assert store.taken[2] == 60  # the first that have a history
    assert max(store.taken[3:]) < 10


async def test_session_of_a_worker_says_what_it_has(lab: Lab) -> None:
    @lab.app.workflow(queue="mail")
    async def flow() -> None:
        return None

    async with lab.worker():
        (row,) = lab.store._workers.values()

    assert row.info == WorkerInfo(row.info.name, ("flow",), ("default", "mail"))
    assert not lab.store._workers


async def test_short_delay_of_a_retry_stays_in_memory(lab: Lab) -> None:
    """A wait of up to `short_wait` costs no pass."""
    lab.store.clock = TickingClock()
    failures = [ValueError("once"), ValueError("twice")]

    async def flaky() -> str:
        if failures:
            raise failures.pop()
        return "ok"

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(3, first_delay="4ms")).run("work", flaky)

    handle = await lab.app.start(flow)
    async with lab.worker(short_wait=timedelta(seconds=2)):
        assert await lab.result(handle) == "ok"

    assert (await lab.see(handle)).passes == 1
