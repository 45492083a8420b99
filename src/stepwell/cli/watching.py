"""The news of many executions: every change of status and every stored outcome of a step, as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from stepwell.app.follow import Waits, next_pause
from stepwell.app.outline import Seen, outline_of
from stepwell.client import Client
from stepwell.core.model import Execution, ExecutionId, Filter, StepRecord
from stepwell.core.status import Status
from stepwell.errors import DatabaseUnavailable

MOST = 100  # executions of each kind that are looked at: the newest that have not ended, the newest that have
LATE = timedelta(seconds=5)  # an end may be seen so long after it, when its transaction took that long


class Changed(NamedTuple):
    """An execution is new, or its status has changed."""

    execution: Execution


class SteppedIn(NamedTuple):
    """An outcome or a failed attempt of a step of an execution was stored."""

    execution: Execution
    record: StepRecord


class ItemsIn(NamedTuple):
    """A map of an execution has stored so many items."""

    execution: Execution
    map: str
    items: int


class Began(NamedTuple):
    """From now on everything is told. So many executions are under way."""

    executions: int


News = Began | Changed | SteppedIn | ItemsIn | Waits


async def watch(client: Client, which: Filter) -> AsyncIterator[News]:
    """What happens from now on, without end. Goes on after losing the database."""
    watcher, pause = _Watcher(client, which), 0.0
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        try:
            news = await watcher.look()
        except DatabaseUnavailable as error:
            news = watcher.is_away(str(error))
        for one in news:
            yield one
        took = time.monotonic() - began
        pause = next_pause(pause, took, has_news=bool(news))


class _Watcher:
    """Tells what is new since it last looked. Of the first look it tells only that it was made."""

    def __init__(self, client: Client, which: Filter) -> None:
        self._client, self._which = client, which
        self._known: dict[ExecutionId, _Known] = {}
        self._looked_at: datetime | None = None
        self._is_away = False

    async def look(self) -> list[News]:
        now, is_first = self._client.store.now(), self._looked_at is None
        found = await self._found(since=(self._looked_at or now) - LATE)
        news: list[News] = []
        known: dict[ExecutionId, _Known] = {}
        for execution in reversed(found):
            before = self._known.get(execution.id)
            one = known[execution.id] = before or _Known()
            if before is None or one.may_have_moved(execution):
                news += await one.look(self._client, execution)
        self._known, self._looked_at, self._is_away = known, now, False
        return [Began(sum(not one.status.is_final for one in found))] if is_first else news

    async def _found(self, *, since: datetime) -> list[Execution]:
        """Those that have not ended, and those that have ended since; of the statuses that are asked for."""
        wanted = self._which.statuses or tuple(Status)
        active = tuple(status for status in wanted if not status.is_final)
        final = tuple(status for status in wanted if status.is_final)
        found: list[Execution] = []
        if active:
            found += await self._client.list(replace(self._which, statuses=active), limit=MOST)
        if final:
            ended = replace(self._which, statuses=final, finished_after=since)
            found += await self._client.list(ended, limit=MOST)
        return list({execution.id: execution for execution in found}.values())

    def is_away(self, why: str) -> list[News]:
        """Told once, until the database is back."""
        news: list[News] = [] if self._is_away else [Waits(f"{why}; asking again")]
        self._is_away = True
        return news


class _Known:
    """What has been told of one execution."""

    def __init__(self) -> None:
        self._last: Execution | None = None
        self._seen = Seen()

    def may_have_moved(self, now: Execution) -> bool:
        """Only what a worker has claimed since can have stored anything."""
        last = self._last
        return last is None or last.status is Status.RUNNING or (last.status, last.passes) != (now.status, now.passes)

    async def look(self, client: Client, now: Execution) -> list[News]:
        records, items = self._seen.news_of(await outline_of(client.store, now.id))
        news: list[News] = [SteppedIn(now, record) for record in records]
        news += [ItemsIn(now, key, count) for key, count in items.items()]
        if self._last is None or self._last.status is not now.status:
            news.append(Changed(now))
        self._last = now
        return news
