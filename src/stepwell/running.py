"""What code that a worker runs may know: which step it is in, and where its connections come from."""

from __future__ import annotations

from contextvars import ContextVar
from uuid import UUID

from stepwell.core.connections import Connected
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

connected: ContextVar[Connected | None] = ContextVar("stepwell_connected", default=None)
"""What an App gives the connectors that are used in its worker. Tasks and threads of steps inherit it."""

default_connection: ContextVar[str | None] = ContextVar("stepwell_default_connection", default=None)
"""The connection whose delivery has started the execution: that of connectors which name none."""


def current_step() -> StepContext:
    """The step whose body is running. Raises InvalidOption outside of one."""
    context = running_step.get()
    if context is None:
        raise InvalidOption("no step is running here; ask inside the function that a step runs")
    return context


def current_connected() -> Connected:
    """Where connections come from here. Raises InvalidOption where no App has said so."""
    found = connected.get()
    if found is None:
        raise InvalidOption(
            "a connector is used where no App lends it connections: call it in a step, or inside `async with"
            " app.connected():`"
        )
    return found
