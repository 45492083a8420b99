"""What executions, steps and stored values look like, to programs and to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import asdict

from stepwell.app.payloads import as_json, json_text
from stepwell.cli.output import Cell
from stepwell.core.model import Execution, Kind, StepRecord
from stepwell.core.payload import unpack
from stepwell.core.status import Status
from stepwell.errors import InvalidValue
from stepwell.server import documents
from stepwell.stored_failures import decode_failure

PREVIEW_LENGTH = 72  # characters

STYLES = {
    Status.PENDING: "yellow",
    Status.RUNNING: "cyan",
    Status.WAITING: "yellow",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "dim",
}

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


# --- for programs -------------------------------------------------------------------------------------------------


def execution_document(execution: Execution) -> dict[str, Any]:
    """An execution without its payloads, as a part of a larger document."""
    return asdict(documents.execution(execution))


def ending_document(execution: Execution) -> dict[str, Any]:
    """How an execution ended."""
    return {"status": execution.status, "result": as_json(execution.result), "error": as_json(execution.error)}


def step_document(record: StepRecord) -> dict[str, Any]:
    """A stored outcome or failed attempt, in the words of the view `stepwell.steps`."""
    return asdict(documents.step(record))


# --- for people ---------------------------------------------------------------------------------------------------


def standing(status: Status, why: str | None) -> str:
    """An execution's status and why it is there, in one line."""
    if why is None:
        return str(status)
    return why if why.startswith(f"{status} ") else f"{status}: {why}"


def outcome(record: StepRecord) -> tuple[str, str]:
    """(what happened, to which step and with what): a line of news."""
    again = f"; again at {moment(record.retry_at)}" if record.retry_at else ""
    attempt = f" (attempt {record.attempt})" if record.attempt > 1 or record.is_failure else ""
    return documents.state_of(record), f"{record.key}{attempt}  {preview(record)}{again}"


def preview(record: StepRecord) -> str:
    """The beginning of a step's value, or what it raised."""
    if record.is_failure:
        return cut(error_line(record.value))
    if record.kind in (Kind.WAIT, Kind.FIRST):
        return cut(_taken(record.value))
    text = pretty(record.value, indent=-1)
    return cut("until " + text.strip('"') if record.kind == Kind.SLEEP else text)


class _Taken(msgspec.Struct):
    """What ended a wait, as far as it is shown."""

    event: Any
    payload: msgspec.Raw
    label: str | None = None


def _taken(data: bytes) -> str:
    """What a wait got: the payload, or that its time was over; of several waits, which one was first."""
    try:
        taken = msgspec.json.decode(unpack(data), type=_Taken)
    except (InvalidValue, msgspec.MsgspecError) as error:
        return f"(unreadable: {error})"
    value = pretty(bytes(taken.payload), indent=-1)
    if taken.label is not None:
        return taken.label if taken.event is None and value == "null" else f"{taken.label}: {value}"
    return value if taken.event is not None else "timed out"


def cut(text: str) -> str:
    """As much of it as a line of a table has place for."""
    return text if len(text) <= PREVIEW_LENGTH else f"{text[: PREVIEW_LENGTH - 1]}…"


def pretty(data: bytes, *, indent: int = 2) -> str:
    """A stored payload as JSON text to read."""
    try:
        return msgspec.json.format(json_text(data), indent=indent).decode()
    except InvalidValue as error:
        return f"(unreadable: {error.reason})"


def error_line(data: bytes) -> str:
    """`ValueError: message` of a stored error."""
    try:
        failure = decode_failure(unpack(data))
    except (InvalidValue, msgspec.MsgspecError) as error:
        return f"(unreadable: {error})"
    return f"{failure.type}: {failure.message}"


def traceback_of(data: bytes) -> str:
    """The traceback of a stored error, if there is one."""
    try:
        return decode_failure(unpack(data)).traceback
    except (InvalidValue, msgspec.MsgspecError) as error:
        return f"(unreadable: {error})"


def status_cell(status: Status) -> Cell:
    """A status in its colour."""
    return Cell(status, STYLES[status])


def moment(at: datetime | None) -> str:
    """A time in UTC, as the reasons of executions give it; nothing for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""


def length(duration: timedelta) -> str:
    """A duration in its largest unit: 5 s, 3 min, 2 h, 40 d."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
