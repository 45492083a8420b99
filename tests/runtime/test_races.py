"""Code that asks which of its branches is done first is parked: on another pass it is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell import Step
from tests.runtime.lab import DAY, Gate, Lab, Ledger

Tasks = set["asyncio.Task[Any]"]
Race = Callable[[Tasks], Awaitable[Any]]


async def first_done(tasks: Tasks) -> Any:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def first_failed(tasks: Tasks) -> Any:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    return done.pop().result()


async def done_in_time(tasks: Tasks) -> Any:
    done, _ = await asyncio.wait(tasks, timeout=0.01)
    return done.pop().result()


async def next_done(tasks: Tasks) -> Any:
    return await next(iter(asyncio.as_completed(tasks)))


async def all_done(tasks: Tasks) -> Any:
    done, _ = await asyncio.wait(tasks)
    return min(task.result() for task in done)


async def gathered(tasks: Tasks) -> Any:
    return min(await asyncio.gather(*tasks))


def race_of(lab: Lab, ledger: Ledger, race: Race) -> Any:
    """A workflow that names a step after the winner."""

    @lab.app.workflow
    async def flow(step: Step) -> str:
        tasks = {asyncio.create_task(step.run(name, str, name)) for name in ("one", "other")}
        winner = await race(tasks)
        await step.run(f"use-{winner}", ledger.note)
        return str(winner)

    return flow


@pytest.mark.parametrize("race", [first_done, first_failed, done_in_time, next_done])
async def test_race_is_refused_though_only_the_names_of_steps_would_differ(
    lab: Lab, ledger: Ledger, race: Race
) -> None:
    """F60."""
    handle = await lab.app.start(race_of(lab, ledger, race))

    parked = await lab.run_to_rest(handle)

    call = "asyncio.as_completed" if race is next_done else "asyncio.wait"
    assert (parked.why or "").startswith(f"parked: the workflow's {call} waits for whichever task is done first")
    assert "let step.first decide" in (parked.why or "")
    assert ledger.entries == []


@pytest.mark.parametrize("wait", [all_done, gathered])
async def test_waiting_for_all_branches_is_no_race(lab: Lab, ledger: Ledger, wait: Race) -> None:
    assert await lab.run(race_of(lab, ledger, wait)) == "one"


async def test_step_may_race_tasks_of_its_own(lab: Lab) -> None:
    async def quickest() -> str:
        tasks = {asyncio.create_task(asyncio.sleep(0, "quick")), asyncio.create_task(asyncio.sleep(60, "slow"))}
        done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        return done.pop().result()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step.run("quickest", quickest)

    assert await lab.run(flow) == "quick"


async def test_steps_that_run_when_a_race_is_refused_are_stored(lab: Lab, ledger: Ledger) -> None:
    """F59: nothing that had its effect is repeated when the code is mended."""
    gate, is_mended = Gate(), False

    @lab.app.workflow
    async def flow(step: Step) -> str:
        slow = asyncio.create_task(step.run("slow", gate))
        await step.run("quick", ledger.note)
        if not is_mended:
            gate.let_go.set()
            await asyncio.wait({slow}, return_when=asyncio.FIRST_COMPLETED)
        return await slow

    handle = await lab.app.start(flow)
    await lab.run_to_rest(handle)
    assert {"slow", "quick"} <= set(await lab.steps(handle))
    is_mended = True
    lab.store.pass_time(DAY)

    async with lab.worker():
        assert await lab.result(handle) == "through"


async def test_clean_up_of_a_cancelled_execution_may_race(lab: Lab, ledger: Ledger) -> None:
    """It ends, whatever it does: there is no later pass to go another way on."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            await step.wait_for_event("never")
        finally:
            await first_done({asyncio.create_task(step.run(name, ledger.note)) for name in ("one", "other")})
            await step.run("last", ledger.note)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await lab.at_rest(handle)
        await handle.cancel()
        await lab.until(handle, lambda _: False)

    assert ledger.counts["last"] == 1
