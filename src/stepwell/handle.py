"""A handle on one execution."""

from __future__ import annotations

from typing import Any, TypeVar

from stepwell.codec import Codec
from stepwell.core.model import Execution
from stepwell.core.status import Status
from stepwell.errors import ExecutionCancelled, ExecutionFailed
from stepwell.stored_failures import decode_failure

R = TypeVar("R")


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
