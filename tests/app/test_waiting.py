"""Waiting on a real PostgreSQL: what no memory can show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from stepwell import App, InvalidOption, Status, Step
from stepwell.core.model import Execution

LIMIT = "60s"
CENTURIES = timedelta(days=73_000)  # 200 years


async def at_rest(app: App, count: int) -> Sequence[Execution]:
    """Return once so many executions wait or sleep; asked again and again, because nobody tells of it."""
    async with asyncio.timeout(60):
        while True:
            seen = await app.list()
            if sum(one.passes > 0 and one.status is not Status.RUNNING for one in seen) >= count:
                return seen


async def test_waits_of_two_hundred_years_are_kept_and_end_early_when_their_event_comes(app: App) -> None:
    """F55: none of them is beyond what the database, the worker or its event loop can count."""

    @app.workflow
    async def patient(step: Step) -> Any:
        return await step.wait_for_event("word", timeout=CENTURIES)

    @app.workflow
    async def either(step: Step) -> Any:
        return (await step.first("either", late=step.timer(CENTURIES), word=step.event("word"))).value

    @app.workflow
    async def sleeper(step: Step) -> None:
        await step.sleep("long", CENTURIES)

    handles = [await app.start(patient), await app.start(either)]
    sleeping = await app.start(sleeper)
    async with app.worker():
        seen = await at_rest(app, 3)
        for handle in handles:
            await handle.send_event("word", "at last")
        results = [await handle.result(LIMIT) for handle in handles]
        await sleeping.cancel()

    assert all(one.due_at is not None and one.due_at - one.created_at >= CENTURIES for one in seen)
    assert results == ["at last"] * 2


@pytest.mark.parametrize("length", ["0s", timedelta(0), timedelta(microseconds=1)])
async def test_wait_of_no_length_looks_once(app: App, length: Any) -> None:
    """F53: it neither hangs nor spins, and takes what is there."""

    @app.workflow
    async def flow(step: Step) -> list[Any]:
        first = await step.first("either", word=step.event("other"), now=step.timer(length))
        return [await step.wait_for_event("word", timeout=length) for _ in range(2)] + [first.name]

    handle = await app.start(flow)
    await handle.send_event("word", "early")
    async with app.worker():
        assert await handle.result(LIMIT) == ["early", None, "now"]


@pytest.mark.parametrize("length", [float("nan"), float("inf"), -1.0, 1e300, "-1s", "nan", timedelta(seconds=-1)])
async def test_length_that_makes_no_sense_is_refused_where_it_is_given(app: App, length: Any) -> None:
    """F53: by the name of the call, at once, and nothing waits for ever."""

    @app.workflow
    async def flow(step: Step) -> list[str]:
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: step.wait_for_event("word", timeout=length),
            lambda: step.first("either", late=step.timer(length)),
            lambda: step.sleep("rest", length),
        ]
        told = []
        for call in calls:
            with pytest.raises(InvalidOption) as caught:
                await call()
            told.append(str(caught.value).split("'")[1])
        return told

    async with app.worker():
        assert await (await app.start(flow)).result(LIMIT) == ["word", "either/late", "rest"]


@dataclass
class Order:
    fooBar: int  # as other systems call it
    foo_bar: int


KEYS = {"fooBar": 1, "foo_bar": 2, "FooBar": {"foo-bar": [3]}, "": {"fooBar": None}, "event": {"number": 4}, "label": 5}


async def test_keys_of_payloads_and_of_childrens_inputs_and_results_are_the_users(app: App) -> None:
    """F66: none is renamed, none is taken for one of ours."""

    @app.workflow
    async def same(order: Order, extra: dict[str, Any]) -> dict[str, Any]:
        return {**extra, "order": order.fooBar}

    @app.workflow
    async def flow(step: Step) -> list[Any]:
        payload = await step.wait_for_event("word")
        either = await step.first("either", word=step.event("word"))
        child = await step.call("same", same, {"order": Order(6, 7), "extra": payload})
        raced = await step.first("raced", child=step.child(same, {"order": Order(8, 9), "extra": payload}))
        return [payload, either.value, child, raced.value]

    handle = await app.start(flow)
    for _ in range(2):
        await handle.send_event("word", KEYS)
    async with app.worker():
        assert await handle.result(LIMIT) == [KEYS, KEYS, {**KEYS, "order": 6}, {**KEYS, "order": 8}]
