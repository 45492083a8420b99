"""A handle on one execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stepwell.codec import Codec
from stepwell.core.duration import DurationLike
from stepwell.core.model import Execution, ExecutionId, Sent
from stepwell.core.status import Status
from stepwell.errors import ExecutionCancelled, ExecutionFailed
from stepwell.stored_failures import decode_failure

if TYPE_CHECKING:
    from stepwell.app.application import App

R = TypeVar("R")


class Handle(Generic[R]):
    """One execution. `is_new` is False when an earlier execution with the same key stands for the start."""

    def __init__(self, app: App, execution_id: ExecutionId, *, is_new: bool = True) -> None:
        self._app, self.id, self.is_new = app, execution_id, is_new

    async def result(self, timeout: DurationLike | None = None) -> R:
        """See App.result."""
        result: R = await self._app.result(self.id, timeout=timeout)
        return result

    async def status(self) -> Status:
        """See App.status."""
        return await self._app.status(self.id)

    async def cancel(self, *, reason: str = "cancelled", force: bool = False) -> Status:
        """See App.cancel."""
        return await self._app.cancel(self.id, reason=reason, force=force)

    async def send_event(self, name: str, payload: Any = None, *, id: str | None = None) -> Sent:
        """Send an event to this execution. See App.send_event."""
        return await self._app.send_event(name, payload, to=self.id, id=id)

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"


def result_of(execution: Execution, codec: Codec[Any]) -> Any:
    """What an ended execution returned. Raises ExecutionFailed or ExecutionCancelled as it ended."""
    if execution.status is Status.CANCELLED:
        raise ExecutionCancelled(execution_id=execution.id, reason=execution.why)
    if execution.status is Status.FAILED:
        failure = decode_failure(execution.error or b"{}")
        raise ExecutionFailed(
            execution_id=execution.id,
            error_type=failure.type,
            message=failure.message,
            traceback=failure.traceback or None,
        )
    return codec.decode(execution.result or b"null")
