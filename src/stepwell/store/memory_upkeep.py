"""What the memory store removes. There is never more to do: each call does all of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta

from stepwell.core.model import AuditRecord, ExecutionId
from stepwell.store.clock import VirtualClock
from stepwell.store.memory_budgets import MemoryBudgets
from stepwell.store.memory_callbacks import MemoryCallbacks
from stepwell.store.memory_inbox import MemoryInbox
from stepwell.store.memory_listing import old
from stepwell.store.memory_rows import ExecutionRow
from stepwell.store.memory_topics import Topics
from stepwell.store.memory_triggers import MemoryTriggers


class MemoryUpkeep:
    """Keeps the Upkeep protocol."""

    clock: VirtualClock
    _lock: AbstractContextManager[object]
    _executions: dict[ExecutionId, ExecutionRow]
    _keys: dict[tuple[str, str], ExecutionRow]
    _children: dict[tuple[ExecutionId, str], ExecutionRow]
    _topics: Topics
    _triggers: MemoryTriggers
    _inbox: MemoryInbox
    _callbacks: MemoryCallbacks
    _budgets: MemoryBudgets
    _audit: list[AuditRecord]

    async def remove(self, keep: Mapping[str, timedelta]) -> bool:
        with self._lock:
            for row in old(self._executions, keep, self.clock.now()):
                del self._executions[row.id]
                if row.new.key is not None:
                    del self._keys[row.new.workflow, row.new.key]
                if row.child is not None:
                    del self._children[row.child.execution_id, row.child.key]
            return False

    async def remove_events(self, keep: timedelta) -> bool:
        with self._lock:
            self._topics.remove(sent_before=self.clock.now() - keep, undecided=self._triggers.undecided())
            return False

    async def remove_deliveries(self, keep: timedelta) -> bool:
        with self._lock:
            self._inbox.remove(accepted_before=self.clock.now() - keep)
            return False

    async def sweep(self) -> bool:
        with self._lock:
            self._topics.forget_own(self._executions)
            self._callbacks.keep_only(self._executions)
            self._audit = [record for record in self._audit if record.execution_id in self._executions]
            return False

    async def remove_places(self) -> bool:
        return self._budgets.remove_places()

    async def make_searchable(self) -> bool:
        """Here every execution can be found at any time."""
        return False
