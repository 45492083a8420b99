"""What a worker does beside executions, by the memory store and its clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from stepwell import App, InvalidOption
from stepwell.core.retention import DEFAULT_RETENTION, parse_retention
from stepwell.errors import DatabaseUnavailable
from stepwell.runtime import upkeep as module
from stepwell.runtime.upkeep import remove, upkeep
from stepwell.store.memory import MemoryStore

DAY = timedelta(days=1)
SOON = timedelta(milliseconds=1)
SIGNAL_SECONDS = 10.0


def house() -> tuple[App, MemoryStore]:
    store = MemoryStore()
    app = App(store)

    @app.workflow
    async def usual() -> None:
        return None

    @app.workflow(retention="90d")
    async def longer() -> None:
        return None

    @app.workflow(retention="forever")
    async def always() -> None:
        return None

    return app, store


async def test_each_workflow_is_kept_as_declared() -> None:
    """F90: 30 days unless it says otherwise."""
    app, store = house()
    async with app.worker():
        for name in ("usual", "longer", "always"):
            await (await app.start(name)).result("10s")

    left = []
    for days in (29, 2, 60, 4_000):
        store.clock.advance(timedelta(days=days))
        assert not await remove(store, app.registry)
        left.append(sorted(one.workflow for one in await app.list()))

    assert left == [["always", "longer", "usual"], ["always", "longer"], ["always"], ["always"]]


@pytest.mark.parametrize("retention", ["10 parsecs", "0s", "30s", "-1d", ""])
def test_retention_that_is_none_is_refused(retention: str) -> None:
    with pytest.raises(InvalidOption, match="retention"):
        App(MemoryStore()).workflow(retention=retention)(lambda: None)


def test_retention_is_30_days_a_duration_or_forever() -> None:
    assert parse_retention(None) == DEFAULT_RETENTION == 30 * DAY
    assert parse_retention("1h") == parse_retention(timedelta(hours=1)) == timedelta(hours=1)
    assert parse_retention("forever") is None


class Watched(MemoryStore):
    """Says when words are entered, and answers as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: asyncio.Queue[None] = asyncio.Queue()
        self.answers: list[bool | Exception] = []

    async def make_searchable(self) -> bool:
        self.entered.put_nowait(None)
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_upkeep_goes_on_at_once_while_there_is_more_and_after_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = house()
    store = Watched()
    store.answers = [True, DatabaseUnavailable("gone"), RuntimeError("bug"), True, False]
    monkeypatch.setattr(module, "ENTER_EVERY", SOON)
    monkeypatch.setattr(module, "SHORTEST_PAUSE", SOON)

    async with asyncio.timeout(SIGNAL_SECONDS), upkeep(store, app.registry, first_after=SOON):
        for _ in range(6):
            await store.entered.get()


async def test_a_worker_keeps_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.runtime.worker.ENTER_EVERY", SOON)
    store = Watched()
    app = App(store)

    @app.workflow
    async def flow() -> None:
        return None

    async with asyncio.timeout(SIGNAL_SECONDS), app.worker():
        await store.entered.get()
