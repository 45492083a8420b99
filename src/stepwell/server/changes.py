"""Routes: executions are cancelled, retried, paused, resumed, resolved and forked, one or all that a filter means."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from stepwell.app.checks import bound_json
from stepwell.app.control import Bulk
from stepwell.app.payloads import to_store
from stepwell.core.model import ExecutionId, NewFork
from stepwell.core.status import Status
from stepwell.core.tokens import Scope
from stepwell.errors import (
    InvalidInput,
    InvalidOption,
    InvalidValue,
    NotAllowed,
    UnknownExecution,
    UnknownStep,
    UnknownWorkflow,
)
from stepwell.server.fields import Text, Which
from stepwell.server.problems import invalid
from stepwell.server.queries import given
from stepwell.server.routes import Answer, Call, Header, Route
from stepwell.store.identity import new_id

MAX_EDITS = 1_000


class Changed(msgspec.Struct):
    """The execution's status now."""

    id: UUID
    status: Status


# --- one ----------------------------------------------------------------------------------------------------------


class Because(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text | UnsetType = UNSET


class Cancel(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text = "cancelled"
    force: bool = False


async def cancel(call: Call, execution_id: UUID, body: Cancel = Cancel()) -> Changed:  # noqa: B008 - never changed
    """Cancel an execution.

    One that has begun may clean up, and will end as cancelled; `force` ends it at once, whatever it does.
    """
    status = await call.app.cancel(execution_id, reason=body.reason, force=body.force, by=call.by)
    return Changed(execution_id, status)


async def retry(call: Call, execution_id: UUID) -> Changed:
    """Continue an execution that failed or was cancelled, from where it ended; completed steps are kept."""
    return Changed(execution_id, await call.app.retry(execution_id, by=call.by))


async def pause(call: Call, execution_id: UUID, body: Because = Because()) -> Changed:  # noqa: B008
    """Let an execution go no further until it is resumed. Time-outs and deadlines go on."""
    return Changed(execution_id, await call.app.pause(execution_id, by=call.by, **given(body)))


async def resume(call: Call, execution_id: UUID, body: Because = Because()) -> Changed:  # noqa: B008
    """Let a paused execution go on."""
    return Changed(execution_id, await call.app.resume(execution_id, by=call.by, **given(body)))


class Resolution(msgspec.Struct, forbid_unknown_fields=True):
    """What became of an effect whose outcome is unknown: the `value` that it made, or `repeat` it."""

    step: Text
    value: Raw | UnsetType = UNSET
    repeat: bool = False


async def resolve(call: Call, execution_id: UUID, body: Resolution) -> Changed:
    """Say what became of an effect whose outcome is unknown; the execution goes on."""
    if (body.value is UNSET) is not body.repeat:
        raise invalid([("body.value", "give the value that the effect made, or repeat: true")])
    value = None if body.value is UNSET else to_store(bytes(body.value), where=f"the value of step '{body.step}'")
    client = await call.app.open()
    return Changed(execution_id, await client.resolve(ExecutionId(execution_id), body.step, value=value, by=call.by))


class Fork(msgspec.Struct, forbid_unknown_fields=True):
    """Where the new execution begins, and what is different in it.

    `from_step` keeps only what was stored before that step; `edit` puts other results in the place of stored ones. With
    another `input` it begins without history.
    """

    from_step: Text | UnsetType = UNSET
    edit: Annotated[dict[Text, Raw], Meta(max_length=MAX_EDITS)] | UnsetType = UNSET
    input: Raw | UnsetType = UNSET


class Forked(msgspec.Struct):
    """The new execution."""

    id: UUID
    fork_of: UUID


async def fork(call: Call, execution_id: UUID, body: Fork = Fork()) -> Answer[Forked]:  # noqa: B008
    """Begin a new execution with what this one had stored; this one is untouched, whatever its status."""
    edit = body.edit or {}
    if body.input is not UNSET and (body.from_step is not UNSET or edit):
        raise invalid([("body.input", "with another input it begins without history: leave out from_step and edit")])
    client, new = await call.app.open(), ExecutionId(new_id())
    given, step = None, body.from_step or None
    if body.input is not UNSET:
        workflow = (await client.get(ExecutionId(execution_id))).workflow
        given, step = bound_json(call.app.registry, workflow, bytes(body.input)).input, ""
    edited = {name: to_store(bytes(value), where=f"edited result of step '{name}'") for name, value in edit.items()}
    await client.fork(NewFork(ExecutionId(execution_id), new, step, given, edited), by=call.by)
    where = {"Location": f"{call.root}/executions/{new}"}
    return Answer(Forked(new, execution_id), headers=where)


# --- all that a filter means --------------------------------------------------------------------------------------


class Many(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which executions, as in a listing; an empty filter is refused. `dry_run` only counts them."""

    filter: Annotated[Which, Meta(extra_json_schema={"minProperties": 1})]
    dry_run: bool = False


class ManyBecause(Many, kw_only=True):
    reason: Text | UnsetType = UNSET


class CancelMany(Many, kw_only=True):
    reason: Text = "cancelled"
    force: bool = False


class ForkMany(Many, kw_only=True):
    from_step: Text | UnsetType = UNSET


class Done(msgspec.Struct):
    """How many executions matched the filter, and to how many of them it was done."""

    matched: int
    done: int


async def cancel_many(call: Call, body: CancelMany) -> Done:
    """Cancel all executions that the filter means."""
    return _done(await call.app.cancel_many(**_many(call, body)))


async def retry_many(call: Call, body: Many) -> Done:
    """Retry all executions that the filter means."""
    return _done(await call.app.retry_many(**_many(call, body)))


async def pause_many(call: Call, body: ManyBecause) -> Done:
    """Pause all executions that the filter means."""
    return _done(await call.app.pause_many(**_many(call, body)))


async def resume_many(call: Call, body: ManyBecause) -> Done:
    """Resume all executions that the filter means."""
    return _done(await call.app.resume_many(**_many(call, body)))


async def fork_many(call: Call, body: ForkMany) -> Done:
    """Fork all executions that the filter means."""
    return _done(await call.app.fork_many(**_many(call, body)))


def _many(call: Call, body: Many) -> dict[str, Any]:
    return {**given(body, "filter"), **given(body.filter), "by": call.by}


def _done(bulk: Bulk) -> Done:
    return Done(bulk.matched, bulk.done)


_ONE = (NotAllowed, UnknownExecution)
_FORKS = (InvalidInput, InvalidOption, InvalidValue, UnknownExecution, UnknownStep, UnknownWorkflow)
_MANY = (InvalidOption,)


def _one(action: str, function: Any, errors: Any = _ONE, **options: Any) -> Route:
    return Route("POST", f"/executions/{{execution_id}}/{action}", Scope.OPERATE, function, errors=errors, **options)


def _all(action: str, function: Any) -> Route:
    return Route("POST", f"/executions/{action}-many", Scope.OPERATE, function, errors=_MANY)


ROUTES = (
    _one("cancel", cancel),
    _one("retry", retry),
    _one("pause", pause),
    _one("resume", resume),
    _one("resolve", resolve, (InvalidOption, InvalidValue, *_ONE)),
    _one("fork", fork, _FORKS, statuses=(201,), answer_headers=(Header("Location", "Where the new execution is."),)),
    _all("cancel", cancel_many),
    _all("retry", retry_many),
    _all("pause", pause_many),
    _all("resume", resume_many),
    _all("fork", fork_many),
)
