"""Changed code meets executions under way, as the page on changing workflows says."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from stepwell import App, Handle, Status, Step
from tests.docs.conftest import Shown
from tests.docs.pages import page
from tests.runtime.lab import Lab

PAGE = page("docs/changing-running-workflows.md")

Code = Callable[..., Any]


@pytest.fixture
async def lab() -> Lab:
    """Workers whose time passes by itself."""
    return Lab()


def deploy(lab: Lab, code: Code, *others: Code) -> None:
    """From now on this is the workflow `flow`."""
    lab.app = App(lab.store)
    lab.app.workflow(id="flow")(code)
    for other in others:
        lab.app.workflow(other)


async def test_renamed_step_goes_on_with_its_result(lab: Lab, shown: Shown) -> None:
    before, after = shown("rates_before"), shown("rates_after")

    old = await started(lab, before)
    lab.app = App(lab.store)
    lab.app.registry = after.app.registry
    lab.store.is_hurried = True
    async with lab.worker():
        assert await lab.result(old) == 1.09

    new: Handle[Any] = await lab.app.start("import-rate", "EUR")
    async with lab.worker():
        assert await lab.result(new) == 2.18


async def started(lab: Lab, code: ModuleType) -> Handle[Any]:
    """An execution that sleeps after its first step."""
    lab.app.registry = code.app.registry
    handle: Handle[Any] = await lab.app.start("import-rate", "EUR")
    await lab.run_to_rest(handle)
    return handle


# --- what needs no thought ----------------------------------------------------------------------------------------


def same(value: int = 1) -> int:
    return value


async def before(number: int, step: Step) -> None:
    """Two steps and a map, then a sleep."""
    await step.run("first", same, number)
    await step.run("second", same, 2)
    await step.map("each", same, [1, 2, 3])
    await step.sleep("long", "1h")


async def new_step(number: int, step: Step) -> int:
    first = await step.run("first", same, number)
    between = await step.run("between", same, 100)
    return first + between + await step.run("second", same, 2)


async def step_removed(number: int, step: Step) -> int:
    return await step.run("second", same, 2)


async def other_order(number: int, step: Step) -> int:
    return 10 * await step.run("second", same, 2) + await step.run("first", same, number)


async def other_body(number: int, step: Step) -> int:
    return await step.run("first", lambda value: value + 1000, number)


async def new_parameter(number: int, step: Step, rules: int = 5) -> int:
    return rules


async def no_parameter(step: Step) -> int:
    return await step.run("second", same, 2)


@pytest.mark.parametrize(
    ("after", "result"),
    [(new_step, 109), (step_removed, 2), (other_order, 27), (other_body, 7), (new_parameter, 5), (no_parameter, 2)],
)
async def test_change_that_needs_no_thought(after: Code, result: int, lab: Lab) -> None:
    deploy(lab, before)
    handle: Handle[Any] = await lab.app.start("flow", 7)
    await lab.run_to_rest(handle)

    deploy(lab, after)
    lab.store.is_hurried = True
    async with lab.worker():
        assert await lab.result(handle) == result


# --- what parks an execution --------------------------------------------------------------------------------------


async def other_arguments(number: int, step: Step) -> None:
    await step.run("first", same, number + 1)


async def other_kind(number: int, step: Step) -> None:
    await step.sleep("first", "1h")


async def other_sleep(number: int, step: Step) -> None:
    await step.sleep("long", "2h")


async def other_items(number: int, step: Step) -> None:
    await step.map("each", same, [1, 2, 4])


async def other_result(number: int, step: Step) -> None:
    def first(value: int) -> list[str]:
        return [str(value)]

    await step.run("first", first, number)


async def other_input(number: list[str], step: Step) -> None:
    """Takes what no old execution was started with."""


PARKING = [other_arguments, other_kind, other_sleep, other_items, other_result, other_input]


@pytest.mark.parametrize("after", PARKING)
async def test_code_that_does_not_fit_parks_and_goes_on_when_it_fits_again(after: Code, lab: Lab) -> None:
    deploy(lab, before)
    handle: Handle[Any] = await lab.app.start("flow", 7)
    asleep = await lab.run_to_rest(handle)
    stored = await lab.steps(handle)

    deploy(lab, after)
    await lab.app.retry(handle.id)
    parked = await lab.run_to_rest(handle)
    deploy(lab, before)
    await lab.app.retry(handle.id)
    again = await lab.run_to_rest(handle)

    assert parked.status is Status.PENDING
    assert "parked: " in (parked.why or "")
    assert (again.due_at, again.status) == (asleep.due_at, Status.PENDING)
    assert await lab.steps(handle) == stored


# --- what parks an execution that waits for something from outside ------------------------------------------------


async def child(number: int, step: Step) -> Any:
    return await step.wait_for_event("go", key="child")


async def waits(step: Step) -> Any:
    return await step.wait_for_event("approval", event="go", key="child", timeout="7d")


async def waits_for_another(step: Step) -> None:
    await step.wait_for_event("approval", event="go", key="other", timeout="7d")


async def calls(step: Step) -> Any:
    return await step.call("ask", "child", 1)


async def calls_another(step: Step) -> None:
    await step.call("ask", "child", 2)


async def races(step: Step) -> Any:
    return (await step.first("either", one=step.event("go", key="child"), other=step.event("other"))).value


async def races_others(step: Step) -> None:
    await step.first("either", one=step.event("go", key="other"), other=step.event("other"))


PARKING_WAITS = [(waits, waits_for_another), (races, races_others), (calls, calls_another)]


@pytest.mark.parametrize(("old", "new"), PARKING_WAITS)
async def test_wait_that_is_made_otherwise_parks_and_goes_on_when_it_fits_again(old: Code, new: Code, lab: Lab) -> None:
    lab.store.is_hurried = False
    deploy(lab, old, child)
    handle: Handle[Any] = await lab.app.start("flow")
    async with lab.worker():
        await lab.until(handle, lambda seen: seen.status is Status.WAITING)

    deploy(lab, new, child)
    async with lab.worker():
        await lab.app.send_event("go", "went", key="child")
        parked = await lab.until(handle, lambda seen: "parked: " in (seen.why or ""))
    deploy(lab, old, child)
    await lab.app.retry(handle.id)
    async with lab.worker():
        result = await lab.result(handle)

    assert parked.status is Status.PENDING
    assert result == "went"


def test_every_row_of_what_parks_is_tried() -> None:
    rows = re.findall(r"^\| (?!the code now|---)", PAGE.section("## What parks an execution"), re.MULTILINE)

    assert len(rows) == len(PARKING) + len(PARKING_WAITS)
