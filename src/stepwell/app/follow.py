"""The news of an execution, until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from stepwell.app.outline import Seen, outline_of
from stepwell.client import Client
from stepwell.core.model import Execution, ExecutionId, StepRecord
from stepwell.core.status import Status
from stepwell.errors import DatabaseUnavailable

SHORTEST_PAUSE = 0.1  # seconds; doubles while nothing comes
LONGEST_PAUSE = 2.0
SHARE = 0.1  # of the time at most is spent reading: a long history is looked at more rarely


class Stepped(NamedTuple):
    """An outcome or a failed attempt was stored."""

    record: StepRecord


class Counted(NamedTuple):
    """A map has stored so many items."""

    map: str
    items: int


class Waits(NamedTuple):
    """It does not move, and why."""

    why: str


class Ended(NamedTuple):
    """It has ended."""

    execution: Execution


News = Stepped | Counted | Waits | Ended


async def follow(client: Client, execution_id: ExecutionId) -> AsyncIterator[News]:
    """What is stored of it, as it comes, then its end. Goes on after losing the database."""
    looker, pause = _Looker(client, execution_id), 0.0
    ending = asyncio.create_task(client.ended(execution_id, timeout=None), name="stepwell-ending")
    try:
        while True:
            await asyncio.wait({ending}, timeout=pause)
            is_over, began = ending.done(), time.monotonic()
            news = await looker.look()
            for one in news:
                yield one
            if is_over:
                yield Ended(ending.result())
                return
            took = time.monotonic() - began
            pause = next_pause(pause, took, has_news=bool(news))
    finally:
        ending.cancel()


def next_pause(pause: float, took: float, *, has_news: bool) -> float:
    """Seconds until the next look, after a pause and a look that took so long."""
    longer = SHORTEST_PAUSE if has_news else min(max(pause, SHORTEST_PAUSE) * 2, LONGEST_PAUSE)
    return max(longer, took / SHARE)


class _Looker:
    """Tells what is new since it last looked."""

    def __init__(self, client: Client, execution_id: ExecutionId) -> None:
        self._client, self._id = client, execution_id
        self._seen = Seen()
        self._why: str | None = None
        self._told_why: str | None = None

    async def look(self) -> list[News]:
        try:
            outline = await outline_of(self._client.store, self._id)
            execution = await self._client.get(self._id)
        except DatabaseUnavailable as error:
            return self._waits(f"{error}; asking again")
        records, items = self._seen.news_of(outline)
        news: list[News] = [*map(Stepped, records), *(Counted(key, count) for key, count in items.items())]
        is_waiting = execution.status in (Status.PENDING, Status.WAITING)
        return news + self._waits(execution.why if is_waiting else None)

    def _waits(self, why: str | None) -> list[News]:
        """Told when it was so at the look before, too: what passes at once is no news."""
        is_lasting, self._why = why == self._why, why
        if why is None or not is_lasting or why == self._told_why:
            return []
        self._told_why = why
        return [Waits(why)]
