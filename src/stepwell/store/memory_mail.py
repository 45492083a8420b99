"""Which events the memory store keeps, and who waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from stepwell.core.events import execution_of, key_of
from stepwell.core.model import EventRecord, ExecutionId, WaitRecord
from stepwell.store.memory_rows import ExecutionRow
from stepwell.store.memory_topics import Topics


class MemoryMail:
    """Keeps `events` and `waits` of the Reader protocol."""

    _lock: AbstractContextManager[object]
    _topics: Topics
    _executions: Mapping[ExecutionId, ExecutionRow]

    async def events(
        self, *, name: str | None, address: str | None, limit: int, id: str | None = None
    ) -> Sequence[EventRecord]:
        with self._lock:
            found = [
                (-event.number, place, event, own)
                for place, topic in self._topics.those(name, address)
                for event, own in topic.kept()
                if id in (None, own)
            ]
            found.sort(key=lambda one: one[:2])
            return [
                EventRecord(place[0], key_of(place[1]), execution_of(place[1]), own, event.sent_at, event.payload)
                for _, place, event, own in found[:limit]
            ]

    async def waits(
        self, *, execution_id: ExecutionId | None, name: str | None, address: str | None, limit: int
    ) -> Sequence[WaitRecord]:
        with self._lock:
            found = sorted(
                (owner, step, place)
                for place, topic in self._topics.those(name, address)
                for owner, step in topic.waits
                if execution_id in (None, owner)
            )
            return [self._wait(*one) for one in found[:limit]]

    def _wait(self, owner: ExecutionId, step: str, place: tuple[str, str]) -> WaitRecord:
        row = self._executions[owner]
        return WaitRecord(owner, step, place[0], key_of(place[1]), row.new.workflow, row.status, row.due_at)
