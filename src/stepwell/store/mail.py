"""Which events are kept and who waits for them, on PostgreSQL. Each plan is made for the values at hand."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.core.events import execution_of, key_of
from stepwell.core.model import EventRecord, ExecutionId, WaitRecord
from stepwell.core.status import Status
from stepwell.store import binary
from stepwell.store.listing import Read


class Mail:
    """Keeps `events` and `waits` of the Reader protocol."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def events(
        self, *, name: str | None, address: str | None, limit: int, id: str | None = None
    ) -> Sequence[EventRecord]:
        """As Reader.events."""
        which = binary.maybe_text(name), binary.maybe_text(address), binary.int4(limit), binary.maybe_text(id)
        found = await self._read("events", *which)
        return [
            EventRecord(name, key_of(address), execution_of(address), id, sent_at, payload)
            for name, address, id, sent_at, payload in found
        ]

    async def waits(
        self, *, execution_id: ExecutionId | None, name: str | None, address: str | None, limit: int
    ) -> Sequence[WaitRecord]:
        """As Reader.waits."""
        owner = execution_id.bytes if execution_id else None
        found = await self._read(
            "waits", owner, binary.maybe_text(name), binary.maybe_text(address), binary.int4(limit)
        )
        return [
            WaitRecord(owner, step, name, key_of(address), workflow, Status(status), due_at)
            for owner, step, name, address, workflow, status, due_at in found
        ]
