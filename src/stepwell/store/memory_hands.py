"""What the memory store hands out: a heartbeat, and a transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stepwell.core.model import ExecutionId, NewCheckpoint, Reaped, SessionId

if TYPE_CHECKING:
    from stepwell.store.memory import MemoryStore


class MemoryPulse:
    """Keeps the Pulse protocol."""

    def __init__(self, store: MemoryStore, session: SessionId, *, lease_for: timedelta, max_crashes: int) -> None:
        self._store, self._session, self._lease_for, self._max_crashes = store, session, lease_for, max_crashes

    def beat(self) -> frozenset[ExecutionId] | None:
        return self._store.beat(self._session, lease_for=self._lease_for)

    def reap(self) -> Reaped:
        return self._store.reap(max_crashes=self._max_crashes)

    def close(self) -> None:
        """There is no connection to give back."""


class MemoryTransaction:
    """Keeps the Transaction protocol for a step that writes to no database."""

    connection: Any = None

    def __init__(self, store: MemoryStore, session: SessionId) -> None:
        self._store, self._session = store, session

    async def commit(self, checkpoint: NewCheckpoint) -> None:
        self._store.record(self._session, checkpoint)


def on_own_thread(listener: Callable[[str], None]) -> Callable[[str], None]:
    """The same, passed on to the subscriber's event loop when it is called by another thread."""
    thread, loop = threading.get_ident(), asyncio.get_running_loop()

    def tell(hint: str) -> None:
        if threading.get_ident() == thread:
            listener(hint)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(listener, hint)

    return tell
