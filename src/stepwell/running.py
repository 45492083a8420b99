"""What code that a worker runs may know: which step it is in, and where its connections come from."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from uuid import UUID, uuid5

from stepwell.core.connections import Connected
from stepwell.core.model import ExecutionId
from stepwell.core.replay import idempotency_key
from stepwell.errors import InvalidOption


class StepContext:
    """The step whose body is running: its `name` within the execution and the number of its `attempt`, from 1."""

    __slots__ = ("_execution_id", "_labels", "_passes", "attempt", "name")

    def __init__(self, execution_id: ExecutionId, name: str, attempt: int, passes: int = 1) -> None:
        self._execution_id, self.name, self.attempt, self._passes = execution_id, name, attempt, passes
        self._labels: Counter[str] | None = None

    @property
    def execution_id(self) -> UUID:
        """The execution this step belongs to."""
        return self._execution_id

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step, also after a crash; different for every other step."""
        return idempotency_key(self._execution_id, self.name)

    @property
    def may_be_a_repeat(self) -> bool:
        """Whether the body may have run before. False only if it surely has not; True costs a look at the vendor's."""
        return self.attempt > 1 or self._passes > 1

    def key_of(self, label: str) -> str:
        """An idempotency key for one of several effects of the body: the nth for a label is the same on every attempt.

        UUIDv5 (RFC 9562) of the step's own key, the label and n.
        """
        self._labels = self._labels or Counter()
        self._labels[label] += 1
        return str(uuid5(UUID(self.idempotency_key), f"{label}#{self._labels[label]}"))


running_step: ContextVar[StepContext | None] = ContextVar("stepwell_step", default=None)

connected: ContextVar[Connected | None] = ContextVar("stepwell_connected", default=None)
"""What an App gives the connectors that are used in its worker. Tasks and threads of steps inherit it."""

default_connection: ContextVar[str | None] = ContextVar("stepwell_default_connection", default=None)
"""The connection whose delivery has started the execution: that of connectors which name none."""

egress: ContextVar[tuple[str, ...] | None] = ContextVar("stepwell_egress", default=None)
"""The hosts that connectors may reach for the workflow; None: any."""


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
