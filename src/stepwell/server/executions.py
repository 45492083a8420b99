"""Routes: executions are started, found and looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from stepwell.core.duration import parse_duration
from stepwell.core.status import Status
from stepwell.core.tokens import Scope
from stepwell.errors import (
    InvalidInput,
    InvalidOption,
    KeyConflict,
    PayloadTooLarge,
    ResultTimeout,
    UnknownExecution,
    UnknownWorkflow,
)
from stepwell.server import documents
from stepwell.server.bodies import LARGE_BODY_BYTES
from stepwell.server.cursors import page_of, place_of
from stepwell.server.fields import DEFAULT_PAGE, Cursor, Duration, Limit, Moment, Tags, Text, Which
from stepwell.server.problems import invalid
from stepwell.server.queries import given
from stepwell.server.routes import Answer, Call, Header, Route

MAX_STARTS = 2_000  # one statement: all or none
MAX_WAIT_SECONDS = 60.0  # a proxy on the way gives up on an answer that takes much longer

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "The same as `key`, or `id` of an event: the same request sent again is carried out once."
    " A text, or a quoted one as in the IETF draft `draft-ietf-httpapi-idempotency-key-header`.",
    min_length=1,
)


# --- start --------------------------------------------------------------------------------------------------------


class Start(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An execution to be accepted. It does not begin after its deadline, a duration or a time, and stops then."""

    workflow: Text
    input: Raw | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    delay: Duration | UnsetType = UNSET
    deadline: Duration | UnsetType = UNSET
    deadline_at: Moment | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class Started(msgspec.Struct):
    """`is_new` is false when an earlier execution with the same key stands for the start."""

    id: UUID
    workflow: str
    is_new: bool


async def start(call: Call, body: Start) -> Answer[Started]:
    """Start an execution.

    When this has answered, it survives any crash. The same key is the same execution: 200 instead of 201.
    """
    key = idempotency_key(call, body.key)
    handle = await call.app.start_json(
        body.workflow,
        None if body.input is UNSET else bytes(body.input),
        key=key,
        delay=body.delay or None,
        deadline=_deadline(body),
        tags=body.tags or (),
    )
    where = {"Location": f"{call.root}/executions/{handle.id}"}
    started = Started(handle.id, body.workflow, handle.is_new)
    return Answer(started, status=201 if handle.is_new else 200, headers=where)


def _deadline(body: Start | StartMany) -> datetime | str | None:
    if body.deadline is not UNSET and body.deadline_at is not UNSET:
        raise invalid([("body.deadline_at", "is given beside `deadline`; leave one of them out")])
    if body.deadline_at is not UNSET:
        return body.deadline_at
    return None if body.deadline is UNSET else body.deadline


def idempotency_key(call: Call, in_body: str | UnsetType) -> str | None:
    """The key of the body or of the header `Idempotency-Key`. Raises Refusal when they differ."""
    header = call.headers.get(IDEMPOTENCY_KEY.name)
    if header is None:
        return None if in_body is UNSET else in_body
    key = _unquoted(header)
    if in_body is not UNSET and in_body != key:
        raise invalid([("header.Idempotency-Key", "is not the key in the body; leave one of them out")])
    return key


def _unquoted(header: str) -> str:
    """The text of a structured field's string (RFC 9651, section 3.3.3), or what stands there without quotes."""
    if len(header) >= 2 and header[0] == header[-1] == '"':
        return header[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not header:
        raise invalid([("header.Idempotency-Key", "is empty")])
    return header


class StartMany(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Executions of one workflow, one for each input; `keys`, if given, has one for each input."""

    workflow: Text
    inputs: Annotated[list[Raw], Meta(max_length=MAX_STARTS)]
    keys: Annotated[list[Text], Meta(max_length=MAX_STARTS)] | UnsetType = UNSET
    deadline: Duration | UnsetType = UNSET
    deadline_at: Moment | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class StartedMany(msgspec.Struct):
    """What stands for each input, in their order."""

    executions: list[Started]


async def start_many(call: Call, body: StartMany) -> StartedMany:
    """Start executions of one workflow, all of them or none."""
    handles = await call.app.start_many_json(
        body.workflow,
        [bytes(one) for one in body.inputs],
        keys=body.keys or None,
        deadline=_deadline(body),
        tags=body.tags or (),
    )
    return StartedMany([Started(handle.id, body.workflow, handle.is_new) for handle in handles])


# --- look ---------------------------------------------------------------------------------------------------------


class Listing(Which, kw_only=True):
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | UnsetType = UNSET


class Page(msgspec.Struct):
    """Executions, newest first. `next` is the cursor of the next page, if there is one."""

    executions: list[documents.Execution]
    next: str | None


async def list_executions(call: Call, query: Listing) -> Page:
    """List executions, newest first.

    Each word of `text` begins a word of the key, the tags, the reason, the input or the result; or the id begins with
    it.
    """
    which = given(query, "limit", "cursor")
    before = place_of(query.cursor, UUID, of=which)
    found = await call.app.list(before=before, limit=query.limit + 1, **which)
    page, following = page_of(found, lambda one: one.id, limit=query.limit, of=which)
    return Page([documents.execution(one) for one in page], following)


class Counts(msgspec.Struct):
    """How many executions have each status."""

    counts: dict[Status, int]


async def count_executions(call: Call, query: Which) -> Counts:
    """Count the executions that a listing would give, by status."""
    return Counts(await call.app.count(**given(query)))


async def get_execution(call: Call, execution_id: UUID) -> documents.ExecutionDetails:
    """Look at an execution: its input, why it is not moving, and what came of it."""
    return documents.details(await call.app.get(execution_id))


class Waiting(msgspec.Struct, forbid_unknown_fields=True):
    wait: (
        Annotated[str, Meta(pattern=r"^\d{1,5}(\.\d{1,3})?(ms|s|m)$", description="Wait so long, at most 60s.")]
        | UnsetType
    ) = UNSET


async def result(call: Call, execution_id: UUID, query: Waiting) -> Answer[documents.Ending]:
    """What an execution returned, or what it raised.

    With `wait=30s` the answer comes when it has ended, or after that time. Until it has ended the status is 202.
    """
    execution = await call.app.get(execution_id)
    seconds = parse_duration(query.wait).total_seconds() if query.wait is not UNSET else 0.0
    if seconds and not execution.status.is_final:
        await call.presence.during(_end(call.app, execution_id, min(seconds, MAX_WAIT_SECONDS)))
        execution = await call.app.get(execution_id)
    return Answer(documents.ending(execution), status=200 if execution.status.is_final else 202)


async def _end(app: Any, execution_id: UUID, seconds: float) -> None:
    try:
        await (await app.open()).ended(execution_id, timeout=parse_duration(f"{seconds:f}s"))
    except ResultTimeout:
        return


_STARTS = (InvalidInput, InvalidOption, KeyConflict, PayloadTooLarge, UnknownWorkflow)
_LOCATION = Header("Location", "Where the execution is.")

ROUTES = (
    Route(
        "POST",
        "/executions",
        Scope.OPERATE,
        start,
        statuses=(201, 200),
        errors=_STARTS,
        headers=(IDEMPOTENCY_KEY,),
        answer_headers=(_LOCATION,),
    ),
    Route("POST", "/executions/start-many", Scope.OPERATE, start_many, errors=_STARTS, max_body=LARGE_BODY_BYTES),
    Route("GET", "/executions", Scope.READ, list_executions, errors=(InvalidOption,)),
    Route("GET", "/executions/count", Scope.READ, count_executions, errors=(InvalidOption,)),
    Route("GET", "/executions/{execution_id}", Scope.READ, get_execution, errors=(UnknownExecution,)),
    Route(
        "GET", "/executions/{execution_id}/result", Scope.READ, result, statuses=(200, 202), errors=(UnknownExecution,)
    ),
)
