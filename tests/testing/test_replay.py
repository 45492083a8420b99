"""A history that was exported is replayed against the code as it is now."""

from __future__ import annotations

import pytest

from stepwell import App, InvalidOption, Step
from stepwell.runtime.history import history_of, history_to_json
from stepwell.store.memory import MemoryStore
from stepwell.testing import Lab, replay, running

app = App(MemoryStore())
ran: list[str] = []


def note(name: str) -> str:
    ran.append(name)
    return name


@app.workflow
async def order(name: str, step: Step) -> list[str]:
    first = await step.run("first", note, name)
    await step.sleep("rest", "7d")
    return [first, await step.run("second", note, "second")]


async def rest_and_second(step: Step) -> str:
    await step.sleep("rest", "7d")
    return await step.run("second", note, "second")


@app.workflow
async def same(name: str, step: Step) -> list[str]:
    return [await step.run("first", note, name), await rest_and_second(step)]


@app.workflow
async def renamed(name: str, step: Step) -> list[str]:
    first = await step.run("first", note, name)
    await step.run("rest", note, "rest")
    return [first]


@app.workflow
async def longer(name: str, step: Step) -> list[str]:
    first = await step.run("first", note, name)
    return [first, await rest_and_second(step), await step.run("third", note, "third")]


@app.workflow
async def shorter(name: str, step: Step) -> list[str]:
    return [await step.run("first", note, name)]


@app.workflow
async def broken(name: str, step: Step) -> list[str]:
    raise LookupError(await step.run("first", note, name))


async def exported(lab: Lab, *, is_complete: bool) -> str:
    """As `stepwell executions export` prints it."""
    handle = await app.start(order, "Ada")
    await (handle.result() if is_complete else lab.advance("1d"))
    ran.clear()
    return history_to_json(history_of(await app.get(handle.id), await app.steps(handle.id), as_of=lab.now))


@pytest.fixture
async def complete() -> str:
    async with running(app) as lab:
        return await exported(lab, is_complete=True)


@pytest.fixture
async def half() -> str:
    async with running(app) as lab:
        return await exported(lab, is_complete=False)


async def test_code_that_fits_passes_without_running_a_step(complete: str) -> None:
    replayed = await replay(complete, same)

    assert (replayed.begins, replayed.waits_for, replayed.unreached) == ((), None, ())
    assert ran == []


async def test_execution_that_is_under_way_tells_what_it_waits_for(half: str) -> None:
    assert (await replay(half.encode(), same)).waits_for == "timer 'rest'"


async def test_execution_that_would_be_parked_is_told_with_the_line(half: str) -> None:
    with pytest.raises(AssertionError, match=rf"does not fit workflow 'renamed'[^$]*'rest'[^$]*{__file__}:\d+"):
        await replay(half, renamed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (longer, "it would go on: third"),
        (shorter, r'it returned \["Ada","second"\]\n  and now     \["Ada"\]'),
        (broken, "it would fail: LookupError: Ada"),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
async def test_completed_execution_must_come_to_the_same_result(complete: str, changed: object, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        await replay(complete, changed)  # type: ignore[arg-type]


async def test_execution_that_is_under_way_may_get_steps_and_lose_them(half: str) -> None:
    assert (await replay(half, shorter)).unreached == ("rest",)


async def test_what_is_no_history_is_refused() -> None:
    with pytest.raises(InvalidOption, match="no history"):
        await replay("{}", order)
