"""Versions of a workflow side by side."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import App, Handle, InvalidOption, Status, Step, every
from stepwell.core.timing import Every
from stepwell.errors import UnknownWorkflow
from stepwell.runtime.registry import Registry
from tests.runtime.lab import DAY, HOUR, Lab

Numbers = tuple[int | None, ...]


def versions(app: App, *numbers: int | None) -> None:
    """The workflow `flow` in these versions, which sleeps a day and returns its number."""
    app.registry = Registry(app)
    for number in numbers:
        app.workflow(id="flow", version=number)(_flow(number))


def _flow(number: int | None) -> Any:
    async def flow(step: Step) -> int | None:
        await step.sleep(f"pause {number}", "1d")
        return number

    return flow


async def rested(lab: Lab) -> Handle[Any]:
    handle = await lab.app.start("flow")
    await lab.run_to_rest(handle)
    lab.store.is_hurried = True
    return handle


async def test_start_begins_the_highest_version_in_whatever_order_they_are_declared(lab: Lab) -> None:
    versions(lab.app, 2, None, 3, 1)

    assert await lab.run("flow") == 3


@pytest.mark.parametrize(("before", "after"), [(1, (1, 2)), (None, (None, 2)), (None, (3, 2)), (2, (1, 2, 3))])
async def test_execution_under_way_keeps_its_version(lab: Lab, before: int | None, after: Numbers) -> None:
    """F98. Without the function that had no version it goes on with the lowest one there is."""
    versions(lab.app, before)
    handle = await rested(lab)
    versions(lab.app, *after)

    async with lab.worker():
        assert await lab.result(handle) == (before if before in after else min(filter(None, after)))


async def test_execution_waits_for_a_worker_that_has_its_version(lab: Lab) -> None:
    """F65."""
    versions(lab.app, 1)
    handle = await rested(lab)
    versions(lab.app, 2)
    lab.store.pass_time(2 * DAY)

    async with lab.worker():
        other = await lab.app.start("flow")
        assert await lab.result(other) == 2
    assert (await lab.see(handle)).status is Status.PENDING

    versions(lab.app, 1, 2)
    async with lab.worker():
        assert await lab.result(handle) == 1


async def test_only_the_newest_versions_triggers_hold(lab: Lab) -> None:
    for number, interval in ((2, "2h"), (1, "1h"), (3, "3h")):
        lab.app.workflow(id="flow", version=number, trigger=every(interval))(_flow(number))

    (only,) = lab.app.registry.schedules
    assert only.timing == Every(3 * HOUR)
    assert lab.app.registry.names == ("flow",)
    assert lab.app.registry.codes == ("flow", "flow@1", "flow@2", "flow@3")


async def test_same_version_twice_and_versions_that_cannot_be_are_refused(lab: Lab) -> None:
    versions(lab.app, 1)

    with pytest.raises(InvalidOption, match="two workflows are called 'flow@1'"):
        lab.app.workflow(id="flow", version=1)(_flow(1))
    with pytest.raises(InvalidOption, match="version is 0"):
        lab.app.workflow(id="flow", version=0)(_flow(0))
    with pytest.raises(InvalidOption, match="looks like a version"):
        lab.app.workflow(id="flow@7")(_flow(7))
    with pytest.raises(UnknownWorkflow, match="'flow@7'"):
        lab.app.registry.version("flow", 7)


async def test_result_is_read_as_the_version_says_that_made_it(lab: Lab) -> None:
    async def old(step: Step) -> tuple[int, int]:
        return 1, 2

    async def new(step: Step) -> list[str]:
        return ["a"]

    lab.app.workflow(id="flow", version=1)(old)
    handle = await lab.app.start("flow")
    async with lab.worker():
        await lab.result(handle)
    lab.app.workflow(id="flow", version=2)(new)

    assert await lab.result(handle) == (1, 2)
