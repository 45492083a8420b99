"""A crash anywhere gives the same result: every workflow here is cut before and after each of its writes (I12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stepwell import Handle, Retry, RetryAfter, Status, Step, StepFailed, SyncStep, current_step
from tests.runtime.lab import Cut, Lab

MAX_WRITES = 60
MOST_AT_ONCE = 6  # steps that run side by side in these workflows


class Effects:
    """What steps did to the world: each body that ran, and the attempt it was told."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []

    async def do(self, value: Any = None) -> Any:
        self.done.append((current_step().name, current_step().attempt))
        await asyncio.sleep(0)
        return value

    async def fail_until(self, attempt: int) -> int:
        await self.do()
        if current_step().attempt < attempt:
            raise RetryAfter("1h")
        return attempt


async def sequential(step: Step, effects: Effects) -> Any:
    return [await step.run("work", effects.do, number) for number in range(4)]


async def gathered(step: Step, effects: Effects) -> Any:
    return await asyncio.gather(*(step.run(f"work-{number}", effects.do, number) for number in range(4)))


async def mapped(step: Step, effects: Effects) -> Any:
    return await step.map("items", effects.do, [5, 6, 7, 8, 9], concurrency=2)


async def retried(step: Step, effects: Effects) -> Any:
    found = [await step.run("flaky", effects.fail_until, 3)]
    try:
        await step(retry=Retry(2)).run("hopeless", effects.fail_until, 9)
    except StepFailed as failed:
        found.append(failed.attempts)
    return [*found, await step.run("compensate", effects.do)]


async def slept(step: Step, effects: Effects) -> Any:
    began = await step.now()
    for day in range(3):
        await step.sleep("night", "24h")
        await step.run("work", effects.do, day)
    return (await step.now() - began).days


async def branched(step: Step, effects: Effects) -> Any:
    async def branch(name: str) -> Any:
        first = await step.run("first", effects.do, name)
        await step.sleep("pause", "1h")
        leaves = await asyncio.gather(
            step.run("leaf", effects.do, f"{name}1"), step.run("leaf", effects.do, f"{name}2")
        )
        return [first, leaves, await step.map("items", effects.do, [name] * 3)]

    async with asyncio.TaskGroup() as group:
        branches = [group.create_task(branch(name)) for name in "ab"]
    return [branch.result() for branch in branches]


async def failing(step: Step, effects: Effects) -> Any:
    try:
        await step.run("work", effects.do)
        raise LookupError("no customer")
    finally:
        await step.sleep("pause", "1h")
        await step.run("clean-up", effects.do)


def plain(step: SyncStep, effects: Effects) -> Any:
    first = step.run("work", effects.do, 1)
    step.sleep("night", "12h")
    return [first, step.map("items", effects.do, [1, 2]), str(step.uuid())[14]]


SHAPES: list[Callable[..., Any]] = [sequential, gathered, mapped, retried, slept, branched, failing, plain]


class Life:
    """One execution of a shape, cut once or not at all."""

    def __init__(self, shape: Callable[..., Any], cut: Cut | None = None) -> None:
        self.lab, self.effects = Lab(), Effects()
        self.lab.store.on_cut = self._remember
        self.stored_at_the_cut: set[str] = set()
        self.done_at_the_cut = 0
        self._shape, self._cut = shape, cut

    async def live(self) -> Life:
        """Come to the end of it."""
        shape, effects = self._shape, self.effects

        if asyncio.iscoroutinefunction(shape):

            @self.lab.app.workflow(id="flow")
            async def flow(step: Step) -> Any:
                return await shape(step, effects)
        else:

            @self.lab.app.workflow(id="flow")
            def plain_flow(step: SyncStep) -> Any:
                return shape(step, effects)

        self.lab.store.cut = self._cut
        handle: Handle[Any] = await self.lab.app.start("flow")
        self.end = await self.lab.survive(handle)
        self.keys = sorted(await self.lab.steps(handle))
        return self

    def _remember(self) -> None:
        (row,) = self.lab.store._executions.values()
        self.stored_at_the_cut, self.done_at_the_cut = set(row.checkpoints), len(self.effects.done)

    @property
    def outcome(self) -> tuple[Status, Any, list[str]]:
        """What must not depend on where it was cut."""
        return self.end.status, self.end.result, self.keys


@pytest.mark.parametrize("shape", SHAPES)
async def test_crash_before_or_after_any_write_changes_neither_the_result_nor_what_is_stored(
    shape: Callable[..., Any],
) -> None:
    """F21, F22, F23, I12."""
    whole = await Life(shape).live()
    assert len(set(whole.effects.done)) == len(whole.effects.done)

    for at in range(1, MAX_WRITES):
        for is_before in (True, False):
            life = await Life(shape, Cut(at, is_before)).live()
            assert life.outcome == whole.outcome
            assert set(life.effects.done) == set(whole.effects.done)
            repeated = [done for done in set(life.effects.done) if life.effects.done.count(done) > 1]
            assert len(repeated) <= MOST_AT_ONCE, f"cut at {at}: more than what was under way ran again: {repeated}"
            assert all(life.effects.done.count(done) == 2 for done in repeated)
        if life.lab.store.writes < at:
            return
    raise AssertionError(f"no life of {MAX_WRITES} writes is without a cut")


@pytest.mark.parametrize("shape", SHAPES)
async def test_step_that_is_stored_when_the_worker_dies_does_not_run_again(shape: Callable[..., Any]) -> None:
    """Promise 2."""
    for at in range(2, 20, 2):
        life = await Life(shape, Cut(at, is_before=False)).live()

        done_since = life.effects.done[life.done_at_the_cut :]
        assert not {name for name, _ in done_since} & life.stored_at_the_cut


@pytest.mark.parametrize("is_before", [True, False])
async def test_execution_cut_between_its_steps_never_blocks_a_worker_of_one_slot(is_before: bool) -> None:
    """F8: whichever write its first worker died at, it comes to its end and the others after it."""
    for at in range(1, 12):
        lab = Lab(concurrency=1)

        @lab.app.workflow
        async def flow(number: int, step: Step) -> int:
            return await step.run("add", lambda: number + 1) + await step.run("more", lambda: 1)

        handles = await lab.app.start_many(flow, range(4))
        lab.store.cut = Cut(at, is_before)
        for handle in handles:
            await lab.survive(handle)

        assert [(await lab.see(handle)).result for handle in handles] == [b"2", b"3", b"4", b"5"]
