"""The news of an execution: each told once, in its order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from stepwell import App, Step
from stepwell.app.follow import Counted, Ended, News, Stepped, Waits, follow
from stepwell.app.outline import PAGE, outline_of
from stepwell.client import Client
from stepwell.core.model import ExecutionId
from stepwell.errors import DatabaseUnavailable
from stepwell.store.memory import MemoryStore


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with App(MemoryStore()) as app:
        yield app


async def told(app: App, execution_id: ExecutionId) -> list[News]:
    return [news async for news in follow(await app.open(), execution_id)]


async def test_what_is_stored_while_somebody_looks_is_told_once_and_the_end_comes_last(app: App) -> None:
    gates = [asyncio.Event() for _ in range(3)]

    @app.workflow
    async def three(step: Step) -> None:
        for gate in gates:
            await step.run("pass", gate.wait)

    news: list[News] = []
    async with app.worker():
        handle = await app.start(three)
        gates[0].set()
        async for one in follow(await app.open(), ExecutionId(handle.id)):
            news.append(one)
            if isinstance(one, Stepped) and len(news) < len(gates):
                gates[len(news)].set()  # the next step ends because the last one was told

    keys = [one.record.key for one in news if isinstance(one, Stepped)]
    assert keys == ["pass", "pass#2", "pass#3"]
    assert isinstance(news[-1], Ended)
    assert len(news) == 4


async def test_an_execution_that_does_not_move_is_told_with_its_reason_once(app: App) -> None:
    @app.workflow
    async def waits(step: Step) -> None: ...

    handle = await app.start(waits)

    news = follow(await app.open(), ExecutionId(handle.id))
    first = await anext(news)
    await app.cancel(handle.id)
    rest = [one async for one in news]

    assert first == Waits("no worker has this workflow")
    assert [type(one) for one in rest] == [Ended]


async def test_items_of_a_map_are_counted_and_not_listed(app: App) -> None:
    @app.workflow
    async def many(step: Step) -> None:
        await step.run("before", str)
        await step.map("each", str, range(2 * PAGE + 1), concurrency=100)
        await step.run("zuletzt", str)

    async with app.worker():
        handle = await app.start(many)
        await handle.result(timeout="30s")
    news = await told(app, ExecutionId(handle.id))

    assert [one.record.key for one in news if isinstance(one, Stepped)] == ["before", "each", "zuletzt"]
    assert Counted("each", 2 * PAGE + 1) in news


async def test_an_outline_of_a_long_history_is_complete_and_in_order(app: App) -> None:
    @app.workflow
    async def long(step: Step) -> None:
        for number in range(PAGE + 1):
            await step.run(f"step-{number}", int)

    async with app.worker():
        handle = await app.start(long)
        await handle.result(timeout="30s")
    outline = await outline_of((await app.open()).store, ExecutionId(handle.id))

    times = [record.recorded_at for record in outline.records]
    assert {record.key for record in outline.records} == {f"step-{number}" for number in range(PAGE + 1)}
    assert times == sorted(times)


class Interrupted(MemoryStore):
    """A store that cannot be read for a while."""

    failures = 3

    async def progress(self, execution_id: ExecutionId) -> dict[str, int]:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("the database cannot be reached")
        return await super().progress(execution_id)


async def test_a_lost_database_is_told_once_and_the_watching_goes_on() -> None:
    async with App(Interrupted()) as app:

        @app.workflow
        async def quick(step: Step) -> None: ...

        client: Client = await app.open()
        handle = await app.start(quick)
        news = follow(client, ExecutionId(handle.id))
        first = await anext(news)
        second = await anext(news)
        async with app.worker():
            rest = [one async for one in news]

    assert first == Waits("the database cannot be reached; asking again")
    assert second == Waits("no worker has this workflow")
    assert isinstance(rest[-1], Ended)
