"""What is done to executions from outside, in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from stepwell.core.model import AuditRecord, ExecutionId, Forked, Kind, NewFork, Order
from stepwell.core.status import Status
from stepwell.store.clock import VirtualClock
from stepwell.store.memory_rows import ENDED_PARENT, ExecutionRow, StoredCheckpoint

EDITABLE = (Kind.STEP, Kind.TRANSACTION, Kind.ITEM, Kind.EFFECT, Kind.RESULT)

Answer = tuple[Status, bool] | None


class MemoryControl:
    """Keeps the Control protocol."""

    clock: VirtualClock
    _lock: AbstractContextManager[object]
    _executions: dict[ExecutionId, ExecutionRow]
    _audit: list[AuditRecord]
    _noted: int  # audit records so far
    _moment: int

    @abstractmethod
    def _hint_work(self) -> None: ...

    @abstractmethod
    def _hint_done(self, rows: Sequence[ExecutionRow]) -> None: ...

    @abstractmethod
    def _end_family(self, rows: Sequence[ExecutionRow]) -> None: ...

    async def cancel(
        self, execution_id: ExecutionId, *, reason: str, force: bool = False, by: str | None = None
    ) -> Answer:
        def cancel(row: ExecutionRow) -> bool:
            if row.status.is_final:
                return row.status is Status.CANCELLED
            row.ask_to_cancel(reason, self.clock.now(), force=force)
            self._note(row, by, "force-cancel" if force else "cancel", reason)
            self._end_family([row])
            self._hint_done([row])
            if row.due_at is not None:
                self._hint_work()
            return True

        return self._change(execution_id, cancel)

    async def reopen(self, execution_id: ExecutionId, *, by: str | None = None) -> Answer:
        def reopen(row: ExecutionRow) -> bool:
            if not row.may_reopen:
                return False
            for one in [row, *self._children_to_reopen(row)]:
                one.reopen(self.clock.now())
            self._note(row, by, "retry", None)
            self._hint_work()
            return True

        return self._change(execution_id, reopen)

    def _children_to_reopen(self, parent: ExecutionRow) -> Iterator[ExecutionRow]:
        for row in tuple(self._executions.values()):
            if row.caller == parent.id and row.status in (Status.FAILED, Status.CANCELLED):
                assert row.child is not None
                if row.child.key in parent.failed_steps or row.cancel_reason == ENDED_PARENT:
                    yield from self._children_to_reopen(row)
                    yield row

    async def pause(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> Answer:
        def pause(row: ExecutionRow) -> bool:
            if row.status.is_final or row.cancel_requested_at is not None:
                return False
            if row.paused_by is None:
                self._note(row, by, "pause", reason)
            row.paused_by, row.is_told = row.paused_by or by, row.owner is not None
            return True

        return self._change(execution_id, pause)

    async def resume(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> Answer:
        def resume(row: ExecutionRow) -> bool:
            if row.status.is_final or row.paused_by is None:
                return False
            row.paused_by, row.is_told = None, False
            if row.due_at is not None:
                row.due_at = max(row.due_at, self.clock.now())
            self._note(row, by, "resume", reason)
            self._hint_work()
            return True

        return self._change(execution_id, resume)

    async def resolve(self, execution_id: ExecutionId, key: str, *, value: bytes | None, by: str) -> Answer:
        def resolve(row: ExecutionRow) -> bool:
            self._moment += 1
            is_open = not row.status.is_final and row.owner is None
            if not is_open or not row.resolve(key, value, self.clock.now(), self._moment):
                return False
            self._note(row, by, "resolve", f"{key}: {'repeat' if value is None else 'value'}")
            self._hint_work()
            return True

        return self._change(execution_id, resolve)

    async def fork(self, new: NewFork, *, by: str) -> Forked:
        with self._lock:
            source = self._executions.get(new.source)
            if source is None:
                return Forked.NO_EXECUTION
            if new.from_step and source.moment_of(new.from_step) is None:
                return Forked.NO_STEP
            kept = dict(source.before(new.from_step, edited=new.edit))
            for key, value in new.edit.items():
                if key not in kept or kept[key].checkpoint.kind not in EDITABLE:
                    return Forked.NO_EDIT
                known = kept[key]
                edited = known.checkpoint._replace(value=value, is_failure=False)
                kept[key] = StoredCheckpoint(edited, known.recorded_at, known.moment)
            self._executions[new.id] = source.fork(new, kept, self.clock.now())
            self._note(source, by, "fork", str(new.id))
            self._hint_work()
            return Forked.MADE

    async def orders(self, ids: Sequence[ExecutionId]) -> dict[ExecutionId, Order]:
        with self._lock:
            rows = [self._executions[id] for id in ids if id in self._executions]
            return {
                row.id: Order(row.cancel_requested_at, row.cancel_reason, row.paused_by is not None) for row in rows
            }

    async def audits(
        self, execution_id: ExecutionId | None, *, before: int | None, limit: int
    ) -> Sequence[AuditRecord]:
        with self._lock:
            found = [
                record
                for record in reversed(self._audit)
                if execution_id in (None, record.execution_id) and (before is None or record.number < before)
            ]
            return found[:limit]

    def note_answer(self, execution_id: ExecutionId, *, by: str, name: str) -> None:
        """Somebody has answered a callback of this execution."""
        self._note(self._executions[execution_id], by, "answer", name)

    def _change(self, execution_id: ExecutionId, change: Callable[[ExecutionRow], bool]) -> Answer:
        with self._lock:
            row = self._executions.get(execution_id)
            if row is None:
                return None
            is_done = change(row)
            return row.status, is_done

    def _note(self, row: ExecutionRow, by: str | None, action: str, detail: str | None) -> None:
        if by is not None:
            self._noted += 1
            self._audit.append(AuditRecord(self._noted, self.clock.now(), row.id, by, action, detail))
