"""What a step's body may know about itself."""

from __future__ import annotations

from contextvars import ContextVar
from uuid import UUID

from stepwell.core.model import ExecutionId
from stepwell.core.replay import idempotency_key
from stepwell.errors import InvalidOption


class StepContext:
    """The step whose body is running: its `name` within the execution and the number of its `attempt`, from 1."""

    __slots__ = ("_execution_id", "attempt", "name")

    def __init__(self, execution_id: ExecutionId, name: str, attempt: int) -> None:
        self._execution_id, self.name, self.attempt = execution_id, name, attempt

    @property
    def execution_id(self) -> UUID:
        """The execution this step belongs to."""
        return self._execution_id

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step, also after a crash; different for every other step."""
        return idempotency_key(self._execution_id, self.name)


running_step: ContextVar[StepContext | None] = ContextVar("stepwell_step", default=None)


def current_step() -> StepContext:
    """The step whose body is running. Raises InvalidOption outside of one."""
    context = running_step.get()
    if context is None:
        raise InvalidOption("no step is running here; ask inside the function that a step runs")
    return context
