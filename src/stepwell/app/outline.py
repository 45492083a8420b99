"""An execution's steps without the items of its maps: there may be 100,000 of them, so they are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from stepwell.core.model import ExecutionId, Kind, StepRecord
from stepwell.store.base import Reader

PAGE = 500
ITEM = "/#"  # in the key of a map's item: enrich/#17
AFTER_ITEMS = "/#:"  # digits sort before ":"


class Outline(NamedTuple):
    """`records` in the order in which they were stored; `items` says how many each map has stored."""

    records: list[StepRecord]
    items: dict[str, int]


class Seen:
    """What of an execution's outline has been told."""

    def __init__(self) -> None:
        self._records: set[object] = set()
        self._items: dict[str, int] = {}

    def news_of(self, outline: Outline) -> Outline:
        """What of it was not told before; from now on it was."""
        records = [record for record in outline.records if _identity(record) not in self._records]
        items = {key: count for key, count in outline.items.items() if self._items.get(key) != count}
        self._records.update(map(_identity, records))
        self._items = outline.items
        return Outline(records, items)


def _identity(record: StepRecord) -> object:
    return record.key, record.attempt, record.recorded_at


async def outline_of(reader: Reader, execution_id: ExecutionId) -> Outline:
    """Read it in few pages: one that meets the items of a map goes on behind them."""
    records = [record async for record in _without_items(reader, execution_id)]
    items = await reader.progress(execution_id)
    return Outline(sorted(records, key=lambda record: (record.recorded_at, record.key, record.attempt)), items)


async def _without_items(reader: Reader, execution_id: ExecutionId) -> AsyncIterator[StepRecord]:
    after: tuple[str, int] | None = None
    while page := await reader.steps(execution_id, after=after, limit=PAGE):
        for record in page:
            after = (record.key, record.attempt)
            if record.kind == Kind.ITEM:
                after = (record.key.rpartition(ITEM)[0] + AFTER_ITEMS, 0)
                break
            yield record
        else:
            if len(page) < PAGE:
                return
