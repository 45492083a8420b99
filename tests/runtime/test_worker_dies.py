"""A session that is lost, workers that die, and executions that are not good for them."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from stepwell import ExecutionFailed, Status, Step
from stepwell.core.model import Batch, Completed
from stepwell.core.polling import SUSPECT_CRASHES
from tests.runtime.lab import MAX_CRASHES, Gate, Lab, Ledger


async def test_worker_that_lost_its_database_cuts_its_steps_and_begins_anew(lab: Lab, ledger: Ledger) -> None:
    """F1, F27."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        lab.store.cut_off()
        await gate.was_cut.wait()
        gate.let_go.set()
        lab.store.bury()
        assert await lab.result(handle) == "through"

    assert (await lab.see(handle)).passes == 2


async def test_pass_that_follows_another_at_once_is_cut_with_its_session_too(lab: Lab) -> None:
    """F1: an execution that falls due as it is put to sleep is claimed before the pass that put it there has ended."""
    gate = Gate()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        await step.sleep("nap", "1h")
        return await step.run("slow", gate)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await gate.begun.wait()
        lab.store.cut_off()
        async with asyncio.timeout(2):
            await gate.was_cut.wait()
        gate.let_go.set()
        lab.store.bury()
        assert await lab.result(handle) == "through"


async def test_execution_that_kills_worker_after_worker_is_parked_as_failed(lab: Lab) -> None:
    """F62, F63."""

    async def kill() -> None:
        lab.store.cut_off()
        await asyncio.Event().wait()

    @lab.app.workflow
    async def poison(step: Step) -> None:
        await step.run("kill", kill)

    handle = await lab.app.start(poison)
    seen = await lab.survive(handle)

    assert (seen.status, seen.passes, seen.why) == (Status.FAILED, MAX_CRASHES, f"crashed {MAX_CRASHES} workers")
    with pytest.raises(ExecutionFailed, match="WorkerCrashed: crashed 4 workers"):
        await handle.result()


async def test_suspects_run_one_at_a_time_and_the_others_come_to_their_end(lab: Lab) -> None:
    """F63, F64: what dies with a killer is suspected, but only the killer is parked."""
    together: list[int] = []
    running: set[int] = set()

    async def work(number: int) -> int:
        running.add(number)
        crashes = lab.store._executions[handles[number].id].crashes
        if crashes >= SUSPECT_CRASHES:
            together.append(sum(lab.store._executions[handles[one].id].crashes >= SUSPECT_CRASHES for one in running))
        if number == 0:
            running.clear()
            lab.store.cut_off()
            await asyncio.Event().wait()
        if crashes == 0:
            await asyncio.Event().wait()  # so that it is there when the killer strikes
        running.discard(number)
        return number

    @lab.app.workflow
    async def flow(number: int, step: Step) -> int:
        return await step.run("work", work, number)

    handles = await lab.app.start_many(flow, range(5))
    killer = await lab.survive(handles[0])

    assert (killer.status, killer.crashes) == (Status.FAILED, MAX_CRASHES)
    async with lab.worker():
        for number, handle in enumerate(handles[1:], 1):
            assert await lab.result(handle) == number
    assert together
    assert set(together) == {1}


async def test_completed_pass_clears_the_suspicion(lab: Lab) -> None:
    """F62: crashes count only in a row."""

    async def kill(number: int) -> None:
        if lab.ledger.counts[f"kill{number}"] < MAX_CRASHES - 1:
            lab.ledger.note(f"kill{number}")
            lab.store.cut_off()
            await asyncio.Event().wait()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        for number in range(3):
            await step.run("kill", kill, number)
            await step.sleep("pause", "1h")
        return "survived"

    handle = await lab.app.start(flow)
    seen = await lab.survive(handle)

    assert (seen.status, seen.crashes) == (Status.COMPLETED, 0)
    assert len(lab.ledger.entries) == 3 * (MAX_CRASHES - 1)


async def test_outcome_that_the_store_refuses_strands_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """F7: the session is given up with all it owns, and everything goes on in the next one."""
    refused: list[Batch] = []

    @lab.app.workflow
    async def flow(number: int, step: Step) -> int:
        return await step.run("work", lab.ledger.double, number)

    def refuse(batch: Batch) -> None:
        is_six = any(isinstance(end.outcome, Completed) and end.outcome.result == b"6" for end in batch.endings)
        if is_six and len(refused) < 5:
            refused.append(batch)
            raise psycopg.DataError("not in this database")

    lab.store.before_flush = refuse
    handles = await lab.app.start_many(flow, range(8))
    async with lab.worker():
        assert [await lab.result(handle) for handle in handles] == [2 * number for number in range(8)]

    assert any("error of the engine" in record.getMessage() for record in caplog.records)
    assert len(lab.ledger.entries) == 8
