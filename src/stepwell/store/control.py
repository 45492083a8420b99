"""What is done to executions from outside, on PostgreSQL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from stepwell.core.model import AuditRecord, ExecutionId, Forked, NewFork, Order
from stepwell.core.status import Status
from stepwell.store import binary
from stepwell.store.wire import Rows

NEWEST = 2**63 - 1


class PostgresControl:
    """Keeps the Control protocol, one statement for each operation."""

    @abstractmethod
    async def _run(self, name: str, *parameters: bytes | None) -> Rows: ...

    @abstractmethod
    async def _read(self, name: str, *parameters: bytes | None) -> Rows: ...

    async def cancel(
        self, execution_id: ExecutionId, *, reason: str, force: bool = False, by: str | None = None
    ) -> tuple[Status, bool] | None:
        parameters = reason.encode(), binary.boolean(force), binary.maybe_text(by)
        answer = await self._changed("cancel", execution_id, *parameters)
        return answer and (answer[0], answer[1] or answer[0] is Status.CANCELLED)

    async def reopen(self, execution_id: ExecutionId, *, by: str | None = None) -> tuple[Status, bool] | None:
        return await self._changed("reopen", execution_id, binary.maybe_text(by))

    async def pause(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> tuple[Status, bool] | None:
        return await self._changed("pause", execution_id, by.encode(), binary.maybe_text(reason))

    async def resume(self, execution_id: ExecutionId, *, by: str, reason: str | None) -> tuple[Status, bool] | None:
        return await self._changed("resume", execution_id, by.encode(), binary.maybe_text(reason))

    async def resolve(
        self, execution_id: ExecutionId, key: str, *, value: bytes | None, by: str
    ) -> tuple[Status, bool] | None:
        return await self._changed("resolve", execution_id, key.encode(), value, by.encode())

    async def fork(self, new: NewFork, *, by: str) -> Forked:
        is_there, has_step, is_made, _ = (
            await self._run(
                "fork",
                new.source.bytes,
                new.id.bytes,
                new.input,
                binary.maybe_text(new.from_step),
                binary.texts(new.edit),
                binary.byteas(new.edit.values()),
                by.encode(),
            )
        )[0]
        if not is_there:
            return Forked.NO_EXECUTION
        if not has_step:
            return Forked.NO_STEP
        return Forked.MADE if is_made else Forked.NO_EDIT

    async def orders(self, ids: Sequence[ExecutionId]) -> dict[ExecutionId, Order]:
        found = await self._read("orders", binary.uuids(ids))
        return {ExecutionId(identity): Order(*order) for identity, *order in found}

    async def audits(
        self, execution_id: ExecutionId | None, *, before: int | None, limit: int
    ) -> Sequence[AuditRecord]:
        found = await self._read(
            "audits",
            execution_id.bytes if execution_id else None,
            binary.int8(before if before is not None else NEWEST),
            binary.int4(limit),
        )
        return [AuditRecord(*row) for row in found]

    async def _changed(
        self, name: str, execution_id: ExecutionId, *parameters: bytes | None
    ) -> tuple[Status, bool] | None:
        """The status after a change, or the one that did not allow it."""
        if changed := await self._run(name, execution_id.bytes, *parameters):
            return Status(changed[0][0]), True
        found = await self._run("status", execution_id.bytes)
        return (Status(found[0][0]), False) if found else None
