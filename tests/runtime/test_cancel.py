"""Cancelling: what was promised is what happens, whatever else the execution is about to do."""

from __future__ import annotations

import asyncio

import pytest

from stepwell import Cancelled, ExecutionCancelled, NotAllowed, Status, Step
from stepwell.core.model import Batch
from tests.runtime.lab import Cut, Gate, Lab, Ledger
from tests.runtime.test_closing import Together, gathered, grouped


async def test_execution_that_has_not_begun_is_cancelled_at_once_and_never_begins(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("work", ledger.note)

    handle = await lab.app.start(flow, delay="1h")

    assert await handle.cancel(reason="duplicate order") is Status.CANCELLED
    other = await lab.app.start(flow, delay="2h")
    async with lab.worker():
        await lab.result(other)
        with pytest.raises(ExecutionCancelled, match="duplicate order") as caught:
            await lab.result(handle)
    assert caught.value.reason == "duplicate order"
    assert ledger.entries == ["work"]


async def test_sleeping_execution_is_told_and_ends(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.sleep("pause", "1d")
        await step.run("work", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)

    assert await handle.cancel(reason="no longer needed") is Status.PENDING
    assert (await lab.see(handle)).due_at == lab.store.now()
    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="no longer needed"):
            await lab.result(handle)
    assert not ledger.entries


async def test_forced_cancel_ends_it_at_once(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.run("slow", gate)
        finally:
            await step.run("clean-up", ledger.note)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        assert await handle.cancel(force=True) is Status.CANCELLED
        gate.let_go.set()
        other = await lab.app.start(flow)
        await lab.result(other)

    assert (await handle.status()) is Status.CANCELLED
    assert ledger.counts["clean-up"] == 1


async def test_workflow_cleans_up_when_it_is_cancelled(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        try:
            await step.wait_for_event("approval")
        except Cancelled as cancelled:
            await step.run("tell", ledger.note, str(cancelled))
            await step.sleep("pause", "2s")
            return "swallowed"
        finally:
            await step.run("release", ledger.note)
        return "approved"

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel(reason="duplicate")

    lab.store.is_hurried = True
    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="duplicate"):
            await lab.result(handle)
    assert ledger.entries == ["duplicate", "release"]


@pytest.mark.parametrize("together", [gathered, grouped])
async def test_every_branch_is_told_once_and_what_waits_for_them_may_clean_up(
    lab: Lab, ledger: Ledger, together: Together
) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def branch(name: str) -> None:
            try:
                await step.sleep(name, "1d")
            finally:
                await step.run(f"undo-{name}", ledger.note)
                await step.run(f"tell-{name}", ledger.note)

        try:
            await together(branch("a"), branch("b"))
        finally:
            await step.run("close", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.counts == dict.fromkeys(("a/undo-a", "a/tell-a", "b/undo-b", "b/tell-b", "close"), 1)


async def test_map_begins_no_more_items_once_it_is_cancelled(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    async def work(number: int) -> None:
        ledger.note(str(number))
        if number == 1:
            await gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.map("work", work, range(10), concurrency=1)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await handle.cancel()
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["0", "1"]


async def test_crash_during_the_clean_up_does_not_repeat_what_it_has_done(ledger: Ledger) -> None:
    """F57."""
    for at in range(1, 10):
        lab = Lab()

        @lab.app.workflow
        async def flow(at: int, step: Step) -> None:
            try:
                await step.wait_for_event("approval")
            finally:
                await step.run("undo", ledger.note, f"undo {at}")
                await step.run("close", ledger.note, f"close {at}")

        handle = await lab.app.start(flow, at)
        await lab.run_to_rest(handle)
        await handle.cancel()
        lab.store.cut = Cut(lab.store.writes + at, is_before=False)
        assert (await lab.survive(handle)).status is Status.CANCELLED

    assert set(ledger.counts.values()) == {1}


async def test_clean_up_has_its_grace(lab: Lab, ledger: Ledger) -> None:
    """Also over several passes; then the execution ends as it was promised."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.sleep("long", "30d")
        finally:
            await step.run("undo", ledger.note)
            await step.sleep("forever", "30d")
            await step.run("never", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    began = lab.store.now()
    await handle.cancel()
    lab.store.is_hurried = True

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["undo"]
    assert (await lab.see(handle)).finished_at == began + lab.settings.cancel_grace


async def test_running_step_may_end_and_is_kept_but_none_is_begun_after_it(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("first", gate)
        await step.run("second", ledger.note)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        assert await handle.cancel() is Status.RUNNING
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)

    assert list(await lab.steps(handle)) == ["first"]
    assert not ledger.entries


async def test_accepted_cancel_wins_over_a_workflow_that_returns(lab: Lab) -> None:
    """F51: what the caller was told is what the status shows for ever."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.run("last", gate)
        return "done"

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await handle.cancel()
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)

    seen = await lab.see(handle)
    assert (seen.status, seen.result) == (Status.CANCELLED, None)


async def test_cancel_that_comes_while_the_result_is_being_stored_wins_or_is_refused(lab: Lab) -> None:
    """F51."""
    answers: list[asyncio.Task[Status]] = []

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return "done"

    handle = await lab.app.start(flow)

    def cancel(batch: Batch) -> None:
        if batch.endings and not answers:
            answers.append(asyncio.create_task(handle.cancel()))

    lab.store.before_flush = cancel
    async with lab.worker():
        await lab.at_rest(handle)
        (answer,) = await asyncio.gather(*answers, return_exceptions=True)

    assert isinstance(answer, NotAllowed) == ((await handle.status()) is Status.COMPLETED)


async def test_cancelled_execution_whose_worker_dies_is_cancelled_by_the_next_one(lab: Lab) -> None:
    """F51, F52."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        await handle.cancel(reason="no longer needed")
        lab.store.cut_off()
        await gate.was_cut.wait()
    lab.store.bury()
    await lab.run_to_rest(handle)

    async with lab.worker():
        with pytest.raises(ExecutionCancelled, match="no longer needed"):
            await lab.result(handle)


async def test_cancel_is_heard_by_the_heartbeat_while_nothing_is_stored(lab: Lab, ledger: Ledger) -> None:
    """F52: no notice is needed."""
    beats, gate, loop = asyncio.Semaphore(0), Gate(), asyncio.get_running_loop()

    def count() -> None:
        loop.call_soon_threadsafe(beats.release)

    @lab.app.workflow
    async def flow(step: Step) -> None:
        gate.begun.set()
        await gate.let_go.wait()
        await step.run("work", ledger.note)

    handle = await lab.app.start(flow)
    async with lab.worker(lease_for=lab.settings.lease_for / 100):
        await gate.begun.wait()
        await handle.cancel()
        lab.store.on_beat = count
        for _ in range(2):  # the second begins after the first has told what it heard
            await beats.acquire()
        gate.let_go.set()
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)

    assert not ledger.entries


async def test_what_has_ended_is_not_cancelled_and_cancelling_twice_is_once(lab: Lab) -> None:
    @lab.app.workflow
    async def flow() -> str:
        return "done"

    done, other = await lab.app.start(flow), await lab.app.start(flow, delay="1d")
    lab.store.is_hurried = False
    async with lab.worker():
        await lab.result(done)

    with pytest.raises(NotAllowed, match="it is completed"):
        await done.cancel()
    assert await other.cancel(reason="first") is Status.CANCELLED
    assert await other.cancel(reason="second") is Status.CANCELLED
    assert (await lab.see(other)).why == "first"


async def test_cancelled_execution_goes_on_where_it_was_when_it_is_retried(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.run("before", ledger.note)
        await step.sleep("pause", "1d")
        await step.run("after", ledger.note)
        return "done"

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()
    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)

    assert await lab.app.retry(handle.id) is Status.PENDING
    lab.store.is_hurried = True
    async with lab.worker():
        assert await lab.result(handle) == "done"
    assert ledger.entries == ["before", "after"]


async def test_workflow_that_ends_before_its_other_branches_are_told_ends_cancelled(lab: Lab) -> None:
    """F51: the branch that is told last makes no durable call any more, nor does anybody wait for it."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await asyncio.gather(step.wait_for_event("this"), step.wait_for_event("that"), step.wait_for_event("third"))

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)


async def test_branch_that_is_told_last_cleans_up_to_its_end(lab: Lab, ledger: Ledger) -> None:
    """F51: the workflow's function has ended by then, which cuts nothing of it."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def branch(name: str) -> None:
            try:
                await step.wait_for_event(name)
            finally:
                for number in range(3):
                    await step.run(f"tidy-{name}", ledger.note, f"{name} {number}")

        await asyncio.gather(branch("this"), branch("that"))

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert sorted(ledger.entries) == [f"{name} {number}" for name in ("that", "this") for number in range(3)]


async def test_clean_up_has_a_little_time_although_no_worker_was_there_in_its_grace(lab: Lab, ledger: Ledger) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.sleep("long", "30d")
        finally:
            await step.run("undo", ledger.note)
            await step.sleep("wait", "1h")
            await step.run("never", ledger.note)

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    await handle.cancel()
    lab.store.pass_time(lab.settings.cancel_grace * 3)

    async with lab.worker():
        with pytest.raises(ExecutionCancelled):
            await lab.result(handle)
    assert ledger.entries == ["undo"]
