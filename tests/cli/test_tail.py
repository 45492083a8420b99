"""`stepwell executions tail`: what happens is told once, while it happens."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwell import App, Status, Step
from stepwell.app.follow import Waits
from stepwell.cli.watching import Began, Changed, ItemsIn, SteppedIn, watch
from stepwell.core.model import EVERYTHING, Execution, Filter
from stepwell.errors import DatabaseUnavailable
from stepwell.store.memory import MemoryStore
from tests.cli.conftest import Cli
from tests.cli.programs import Program
from tests.cli.sample import ended


def app_on(store: MemoryStore) -> App:
    app = App(store)

    @app.workflow
    async def order(n: int, step: Step) -> int:
        if n < 0:
            raise ValueError("nothing to order")
        await step.map("each", str, range(n))
        return await step.run("sum", sum, range(n))

    @app.workflow
    async def sleeper(step: Step) -> None:
        await step.sleep("winter", "90d")

    return app


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with app_on(MemoryStore()) as app:
        yield app


async def test_a_whole_life_is_told_once_and_its_end_last(app: App) -> None:
    news = watch(await app.open(), EVERYTHING)
    assert await anext(news) == Began(0)
    async with app.worker():
        handle = await app.start("order", 3)
        await handle.result()
    told = [await anext(news) for _ in range(4)]

    steps = [one.record.key for one in told if isinstance(one, SteppedIn)]
    assert steps == ["each", "sum"]
    assert [one[1:] for one in told if isinstance(one, ItemsIn)] == [("each", 3)]
    assert [one.execution.status for one in told if isinstance(one, Changed)] == [Status.COMPLETED]
    assert isinstance(told[-1], Changed)


async def test_what_was_there_before_is_not_told_but_what_becomes_of_it(app: App) -> None:
    async with app.worker():
        await (await app.start("order", 1)).result()
    before = await app.start("sleeper")

    news = watch(await app.open(), EVERYTHING)
    began = await anext(news)
    await app.cancel(before.id)
    told = await anext(news)

    assert began == Began(1)
    assert isinstance(told, Changed)
    assert (told.execution.id, told.execution.status) == (before.id, Status.CANCELLED)


@pytest.mark.parametrize("which", [Filter(workflow="order"), Filter(tags=("eu",)), Filter(statuses=(Status.FAILED,))])
async def test_only_what_is_asked_for_is_told(app: App, which: Filter) -> None:
    news = watch(await app.open(), which)
    await anext(news)
    async with app.worker():
        await app.start("sleeper")
        wanted = await app.start("order", -1 if which.statuses else 1, tags=["eu"])
        told = await anext(news)

    assert not isinstance(told, Began | Waits)
    assert told.execution.id == wanted.id


class Interrupted(MemoryStore):
    """A store that cannot be read for a while."""

    failures = 0

    async def list(self, which: Filter, *, limit: int) -> list[Execution]:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("the database cannot be reached")
        return list(await super().list(which, limit=limit))


async def test_a_lost_database_is_told_once_and_the_watching_goes_on() -> None:
    store = Interrupted()
    async with app_on(store) as app:
        news = watch(await app.open(), EVERYTHING)
        await anext(news)
        store.failures = 3
        away = await anext(news)
        await app.start("sleeper")
        back = await anext(news)

    assert away == Waits("the database cannot be reached; asking again")
    assert isinstance(back, Changed)


def test_one_execution_is_told_from_its_beginning_to_its_end(cli: Cli, database_url: str) -> None:
    execution = ended(database_url, "order", {"n": 2})

    lines = cli("executions", "tail", execution).stdout.splitlines()
    last = json.loads(cli("executions", "tail", execution, "--json").stdout.splitlines()[-1])

    assert all(line.startswith(f"{execution}  order  ") for line in lines)
    assert lines[-1].endswith("  completed")
    assert last == {"event": "status", "id": execution, "workflow": "order", "status": "completed", "why": None}


def test_one_execution_and_options_are_wrong_usage(cli: Cli, database_url: str) -> None:
    answer = cli("executions", "tail", ended(database_url, "refused"), "--workflow", "order")

    assert answer.exit_code == 2


def test_ctrl_c_ends_it_with_0(folder: Path, database_url: str) -> None:
    with Program("executions", "tail", "--json", folder=folder, database_url=database_url) as tail:
        tail.line("0 under way; Ctrl-C ends the watching")
        execution = ended(database_url, "refused")
        while json.loads(tail.line(execution)).get("status") != "failed":
            pass  # whether it was seen running is chance
        tail.signal(signal.SIGINT)

        assert (tail.ends(), tail.rest()) == (0, [])
