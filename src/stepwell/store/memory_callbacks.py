"""URLs that answer waits, as a plain dict: the executable specification of `Callbacks`."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from stepwell.core.callbacks import Callback, NewCallback
from stepwell.core.events import address
from stepwell.core.model import ExecutionId, NewEvent, Sent


class Executions(Protocol):
    """What callbacks need of the store that keeps the executions."""

    def is_open(self, execution_id: ExecutionId) -> bool:
        """Whether it is there and has not ended."""

    def deliver(self, event: NewEvent) -> Sent | None:
        """As Store.send."""

    def note_answer(self, execution_id: ExecutionId, *, by: str, name: str) -> None:
        """Enter it into the audit."""


class MemoryCallbacks:
    """Keeps the Callbacks protocol."""

    def __init__(
        self, executions: Executions, *, lock: AbstractContextManager[object], now: Callable[[], datetime]
    ) -> None:
        self._executions, self._lock, self._now = executions, lock, now
        self._rows: dict[UUID, Callback] = {}

    async def open_callback(self, new: NewCallback) -> datetime:
        with self._lock:
            if new.id not in self._rows and self._executions.is_open(new.execution_id):
                made = Callback(
                    **new._asdict(), created_at=self._now(), answered_at=None, answered_by=None, has_ended=False
                )
                self._rows[new.id] = made
            row = self._rows.get(new.id)
            return row.expires_at if row else new.expires_at

    async def answer(self, callback_id: UUID, payload: bytes, *, by: str | None) -> bool:
        with self._lock:
            row, now = self._rows.get(callback_id), self._now()
            if row is None or row.answered_at is not None or row.expires_at <= now:
                return False
            if not self._executions.is_open(row.execution_id):
                return False
            self._rows[callback_id] = replace(row, answered_at=now, answered_by=by)
            self._executions.note_answer(row.execution_id, by=by or "unknown", name=row.name)
            event = NewEvent(row.name, address(execution_id=row.execution_id), payload, f"callback {callback_id}")
            self._executions.deliver(event)
            return True

    async def callback(self, callback_id: UUID) -> Callback | None:
        with self._lock:
            row = self._rows.get(callback_id)
            return self._shown(row) if row else None

    async def callbacks(self, execution_id: ExecutionId) -> Sequence[Callback]:
        with self._lock:
            found = [row for row in self._rows.values() if row.execution_id == execution_id]
            return [self._shown(row) for row in sorted(found, key=lambda row: (row.created_at, row.id))]

    def _shown(self, row: Callback) -> Callback:
        return replace(row, has_ended=not self._executions.is_open(row.execution_id))

    def keep_only(self, executions: Container[ExecutionId]) -> None:
        """Forget those of executions that were removed."""
        self._rows = {id: row for id, row in self._rows.items() if row.execution_id in executions}
