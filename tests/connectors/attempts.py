"""Attempts of one step, without an engine: what an action sees of the step that calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from stepwell.core.model import ExecutionId
from stepwell.running import StepContext, running_step

EXECUTION = ExecutionId(UUID("01890000-0000-7000-8000-000000000001"))


@contextmanager
def attempt(number: int, *, step: str = "a-step") -> Iterator[None]:
    """Calls in the block are made by this attempt of the step, as after a crash or a failure."""
    before = running_step.set(StepContext(EXECUTION, step, number))
    try:
        yield
    finally:
        running_step.reset(before)
