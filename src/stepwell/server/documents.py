"""What the API shows, as types: the names of their fields are those of the App and of `--json` on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from stepwell.app.payloads import as_json
from stepwell.core import model
from stepwell.core.payload import unpack
from stepwell.core.status import Status
from stepwell.core.texts import MAX_KEY_LENGTH, MAX_TAGS
from stepwell.errors import InvalidValue
from stepwell.stored_failures import decode_failure

MAX_PAGE = 1_000
DEFAULT_PAGE = 100

Text = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00]*$")]
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00\n]*$")]
Tags = Annotated[list[Tag], Meta(max_length=MAX_TAGS)]
Moment = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many at most.")]
Cursor = Annotated[str, Meta(max_length=4_000, description="`next` of the page before.")]
Duration = Annotated[
    str, Meta(pattern=r"^(\d{1,9}(\.\d{1,9})?(ms|s|m|h|d|w))+$", max_length=100, examples=["30s", "10m", "24h", "7d"])
]


class Which(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which executions are meant: all that is given must hold. Times are from `after` on and earlier than `before`."""

    status: Annotated[list[Status], Meta(min_length=1)] | UnsetType = UNSET
    workflow: Text | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(min_length=1, max_length=MAX_TAGS)] | UnsetType = UNSET
    parent: UUID | UnsetType = UNSET
    created_after: Moment | UnsetType = UNSET
    created_before: Moment | UnsetType = UNSET
    finished_after: Moment | UnsetType = UNSET
    finished_before: Moment | UnsetType = UNSET
    text: Text | UnsetType = UNSET


class Failure(msgspec.Struct):
    """What a step or an execution raised."""

    type: str
    message: str
    traceback: str
    causes: list[str]


class Execution(msgspec.Struct, kw_only=True):
    """An execution without its payloads, which may be large. `why` says why it is not moving."""

    id: UUID
    workflow: str
    queue: str
    status: Status
    why: str | None
    key: str | None
    tags: list[str]
    passes: int
    crashes: int
    version: int | None
    due_at: datetime | None
    deadline_at: datetime | None
    parent_id: UUID | None
    parent_key: str | None
    fork_of: UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ExecutionDetails(Execution, kw_only=True):
    """An execution with its input, and with its result or its error once it has ended."""

    input: Raw
    result: Raw
    error: Failure | None


class Step(msgspec.Struct):
    """A stored outcome or failed attempt of a step. `value` is what it returned, or the failure."""

    step: str
    kind: str
    state: str
    attempt: int
    recorded_at: datetime
    retry_at: datetime | None
    value: Raw


class Wait(msgspec.Struct):
    """A step of an execution waits for the next event of this name: with this key, or sent to the execution itself."""

    execution_id: UUID
    step: str
    name: str
    key: str | None
    workflow: str
    status: Status
    due_at: datetime | None


def execution(one: model.Execution) -> Execution:
    """As a listing has it."""
    return Execution(**_facts(one))


def details(one: model.Execution) -> ExecutionDetails:
    """All of it."""
    return ExecutionDetails(
        **_facts(one), input=as_json(one.input), result=as_json(one.result), error=failure(one.error)
    )


def _facts(one: model.Execution) -> dict[str, Any]:
    facts = {name: getattr(one, name) for name in Execution.__struct_fields__}
    return {**facts, "tags": list(one.tags)}


def failure(data: bytes | None) -> Failure | None:
    """A stored failure; one that is damaged says so."""
    if data is None:
        return None
    try:
        known = decode_failure(unpack(data))
    except (InvalidValue, msgspec.MsgspecError) as error:
        return Failure("unreadable", str(error), "", [])
    return Failure(known.type, known.message, known.traceback, list(known.causes))


def step(record: model.StepRecord) -> Step:
    """One stored outcome or failed attempt."""
    state = "attempt failed" if record.retry_at else "failed" if record.is_failure else "completed"
    return Step(
        record.key, record.kind, state, record.attempt, record.recorded_at, record.retry_at, as_json(record.value)
    )


def wait(record: model.WaitRecord) -> Wait:
    """Who waits for what."""
    return Wait(*(getattr(record, name) for name in Wait.__struct_fields__))
