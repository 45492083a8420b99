"""What a caller says of a start → the execution that is to be accepted."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.app.checks import Deadline, checked_deadline, optional_text
from stepwell.core.duration import DurationLike
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.texts import checked_tags
from stepwell.errors import InvalidOption
from stepwell.runtime.functions import duration_option
from stepwell.runtime.registry import Bound
from stepwell.store.identity import new_id


def new_execution(
    bound: Bound,
    *,
    key: str | None = None,
    delay: DurationLike | None = None,
    deadline: Deadline | None = None,
    tags: Sequence[str] = (),
) -> NewExecution:
    """An execution of that workflow with that input. Raises InvalidOption."""
    workflow, queue, given = bound
    length = duration_option("delay", delay)
    return NewExecution(
        ExecutionId(new_id()),
        workflow,
        given,
        queue,
        optional_text("key", key),
        checked_tags(tags),
        length.total_seconds() if length else 0.0,
        deadline=checked_deadline(deadline),
    )


def new_executions(
    bound: Sequence[Bound], *, keys: Sequence[str] | None, deadline: Deadline | None, tags: Sequence[str]
) -> list[NewExecution]:
    """One for each input; of `keys`, if there are any, each has its own. Raises InvalidOption."""
    if keys is not None and len(keys) != len(bound):
        raise InvalidOption(f"start_many has {len(bound)} inputs and {len(keys)} keys; give one key per input")
    each: Sequence[str | None] = [None] * len(bound) if keys is None else keys
    return [new_execution(one, key=key, deadline=deadline, tags=tags) for one, key in zip(bound, each, strict=True)]
