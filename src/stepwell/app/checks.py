"""What comes from outside with a start or a question is checked before anything is asked of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from stepwell.codec import codec_for
from stepwell.core.duration import DurationLike
from stepwell.core.model import DEFAULT_QUEUE, ExecutionId
from stepwell.core.moments import aware
from stepwell.core.payload import pack
from stepwell.core.replay import checked_name
from stepwell.core.status import Status
from stepwell.core.texts import checked_text
from stepwell.errors import InvalidInput, InvalidOption, InvalidValue
from stepwell.runtime.functions import duration_option
from stepwell.runtime.registry import Bound, Registry

MAX_PAGE = 10_000  # executions with their payloads, all in memory
SHORTEST_LEASE = timedelta(milliseconds=100)  # below it a worker would be dead more often than alive

Deadline = datetime | DurationLike


def bound_json(registry: Registry, workflow: str, text: bytes | None) -> Bound:
    """The workflow with the JSON of its input; None is no input. Raises InvalidInput, UnknownWorkflow.

    A process without workflows is a bare client: the worker will check the input.
    """
    if not registry.names:
        return Bound(checked_name(workflow, "a workflow"), DEFAULT_QUEUE, _unchecked_json(workflow, text))
    known = registry[workflow]
    stored = known.input.bind((), {}) if text is None else known.input.bind_json(text)
    return Bound(known.id, known.queue, stored)


def _unchecked_json(workflow: str, text: bytes | None) -> bytes:
    """An object of parameters, kept as it is but for its white space: no digit passes through a float."""
    if text is None:
        return b"{}"
    try:
        if not isinstance(codec_for(Any).decode_text(text), dict):
            raise InvalidInput(
                workflow, [("$", "this process does not know the workflow: give a JSON object of its parameters")]
            )
        return pack(msgspec.json.format(text, indent=-1))
    except InvalidValue as error:
        raise InvalidInput(workflow, [(error.path, error.reason)]) from error


def execution_id_of(value: UUID | str) -> ExecutionId:
    """The id of an execution. Raises InvalidOption."""
    return ExecutionId(id_of(value, "execution"))


def id_of(value: UUID | str, what: str) -> UUID:
    """The id of such a thing. Raises InvalidOption."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):  # text that is none, or no text at all
        raise InvalidOption(f"{value!r:.100} is no {what} id; it looks like 0192f0c1-...-...") from None


def checked_deadline(deadline: Deadline | None) -> datetime | timedelta | None:
    """A time that says its zone, or a duration that is not zero. Raises InvalidOption."""
    return aware("deadline", deadline) if isinstance(deadline, datetime) else duration_option("deadline", deadline)


def optional_text(option: str, value: str | None) -> str | None:
    """The same text; None stands for none. Raises InvalidOption."""
    return None if value is None else checked_text(option, value)


def checked_status(value: Status | str) -> Status:
    """Raises InvalidOption."""
    try:
        return Status(value)
    except ValueError:
        raise InvalidOption(f"{value!r:.100} is no status; there are: {', '.join(Status)}") from None


def checked_count(option: str, value: int) -> int:
    """A number of things that there must be. Raises InvalidOption."""
    if not isinstance(value, int) or value < 1:
        raise InvalidOption(f"{option} is {value!r:.100}, use a whole number from 1")
    return value


def checked_limit(limit: int, *, most: int = MAX_PAGE, way_out: str = " and `before` for the next page") -> int:
    """How many rows a page has at most. Raises InvalidOption."""
    if not isinstance(limit, int) or not 1 <= limit <= most:
        raise InvalidOption(f"limit is {limit!r:.100}, use 1 to {most:,}{way_out}")
    return limit


def checked_inputs(inputs: Iterable[Any]) -> list[Any]:
    """One input for each execution: neither text, of which each letter would be one, nor a mapping."""
    if isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable):
        raise InvalidOption(f"inputs is {inputs!r:.100}; give a list with one input for each execution")
    return list(inputs)


def checked_queues(queues: Sequence[str] | None) -> tuple[str, ...] | None:
    """The queues that a worker claims from; None: those of its workflows. Raises InvalidOption."""
    if isinstance(queues, str):
        raise InvalidOption(f"queues is the text {queues!r:.100}; give a list of names")
    return tuple(checked_name(queue, "a queue") for queue in queues) if queues else None


def checked_lease(lease: DurationLike | None) -> timedelta | None:
    """A lease that a busy process can extend three times before it is over. Raises InvalidOption."""
    length = duration_option("lease", lease)
    if length is not None and length < SHORTEST_LEASE:
        raise InvalidOption(f"lease is {lease!r}, use at least 100 ms")
    return length


def checked_choice(option: str, value: str, choices: Sequence[str]) -> str:
    """One of the choices. Raises InvalidOption."""
    if value not in choices:
        raise InvalidOption(f"{option} is {value!r:.100}, use {' or '.join(map(repr, choices))}")
    return value
