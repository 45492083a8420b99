"""Promise 8: waiting costs nothing but the row."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from stepwell import Handle, Retry, Step, SyncStep
from tests.runtime.lab import Lab

SLEEPERS = 300


class Held:
    """Something that a workflow has in its hands."""


@pytest.mark.parametrize("way", ["sleep", "retry", "plain"])
async def test_waiting_executions_hold_no_task_and_no_memory(lab: Lab, way: str) -> None:
    lab.store.is_hurried = False
    held: list[weakref.ref[Held]] = []

    def hold() -> Held:
        thing = Held()
        held.append(weakref.ref(thing))
        return thing

    async def fail() -> None:
        raise ConnectionError("down")

    @lab.app.workflow
    async def sleep(step: Step) -> str:
        thing = hold()
        await step.sleep("long", "7d")
        return repr(thing)

    @lab.app.workflow
    async def retry(step: Step) -> str:
        thing = hold()
        await step(retry=Retry(first_delay="1d", max_delay="1d")).run("fail", fail)
        return repr(thing)

    @lab.app.workflow
    def plain(step: SyncStep) -> str:
        thing = hold()
        step.sleep("long", "7d")
        return repr(thing)

    async with lab.worker():
        before = len(asyncio.all_tasks())
        handles: list[Handle[Any]] = await lab.app.start_many(way, [{}] * SLEEPERS)
        for handle in handles:
            await lab.at_rest(handle)
        await turns_of_the_loop()
        gc.collect()

        assert len(held) == SLEEPERS
        assert [thing for thing in held if thing() is not None] == []
        assert len(asyncio.all_tasks()) <= before


async def turns_of_the_loop() -> None:
    """Let what has ended be forgotten."""
    for _ in range(20):
        await asyncio.sleep(0)
