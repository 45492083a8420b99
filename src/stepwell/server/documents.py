"""What the API shows, as types. The command line shows the same with `--json`, under the names that the App has."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw

from stepwell.app.payloads import as_json
from stepwell.core import accounts, callbacks, dispatching, model, tokens, webhooks, workers
from stepwell.core import schedule as schedules
from stepwell.core.payload import unpack
from stepwell.core.status import Status
from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import InvalidValue
from stepwell.stored_failures import decode_failure

Document = TypeVar("Document", bound=msgspec.Struct)


def _document(kind: type[Document], one: object, **other: Any) -> Document:
    """What has the names of the thing itself, but for `other`."""
    names = [name for name in kind.__struct_fields__ if name not in other]
    return kind(**{name: getattr(one, name) for name in names}, **other)


# --- executions ---------------------------------------------------------------------------------------------------


class Failure(msgspec.Struct):
    """What a step or an execution raised."""

    type: str
    message: str
    traceback: str
    causes: list[str]


def failure(data: bytes | None) -> Failure | None:
    """A stored failure; one that is damaged says so."""
    if data is None:
        return None
    try:
        known = decode_failure(unpack(data))
    except (InvalidValue, msgspec.MsgspecError) as error:
        return Failure("unreadable", str(error), "", [])
    return Failure(known.type, known.message, known.traceback, list(known.causes))


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


def execution(one: model.Execution) -> Execution:
    """As a listing has it."""
    return _document(Execution, one, tags=list(one.tags))


class ExecutionDetails(Execution, kw_only=True):
    """An execution with its input, and with its result or its error once it has ended."""

    input: Raw
    result: Raw
    error: Failure | None


def details(one: model.Execution) -> ExecutionDetails:
    """All of it."""
    payloads = {"input": as_json(one.input), "result": as_json(one.result), "error": failure(one.error)}
    return _document(ExecutionDetails, one, tags=list(one.tags), **payloads)


class Ending(msgspec.Struct):
    """How an execution ended, if it has."""

    id: UUID
    status: Status
    why: str | None
    result: Raw
    error: Failure | None


def ending(one: model.Execution) -> Ending:
    """What came of it."""
    return _document(Ending, one, result=as_json(one.result), error=failure(one.error))


class Step(msgspec.Struct):
    """A stored outcome or failed attempt of a step. `value` is what it returned, or the failure."""

    step: str
    kind: str
    state: str
    attempt: int
    recorded_at: datetime
    retry_at: datetime | None
    value: Raw


def step(record: model.StepRecord) -> Step:
    """One stored outcome or failed attempt."""
    return _document(Step, record, step=record.key, state=state_of(record), value=as_json(record.value))


def state_of(record: model.StepRecord) -> str:
    """completed, failed, attempt failed, or timer set: of a sleep, whose time is stored when it begins."""
    if record.retry_at is not None:
        return "attempt failed"
    if record.is_failure:
        return "failed"
    return "timer set" if record.kind == model.Kind.SLEEP else "completed"


class Wait(msgspec.Struct):
    """A step of an execution waits for the next event of this name: with this key, or sent to the execution itself."""

    execution_id: UUID
    step: str
    name: str
    key: str | None
    workflow: str
    status: Status
    due_at: datetime | None


def wait(record: model.WaitRecord) -> Wait:
    """Who waits for what."""
    return _document(Wait, record)


class OpenCallback(msgspec.Struct):
    """What can be answered now. Whoever has its `url` can answer it, without a token."""

    name: str
    prompt: str | None
    created_at: datetime
    expires_at: datetime
    url: str


def open_callback(one: callbacks.CallbackInfo) -> OpenCallback:
    """With its URL."""
    return _document(OpenCallback, one)


class Act(msgspec.Struct):
    """What somebody did to an execution. `by` is the name of a token, or what the caller said."""

    number: int
    done_at: datetime
    execution_id: UUID
    by: str
    action: str
    detail: str | None


def act(record: model.AuditRecord) -> Act:
    """Who did what."""
    return _document(Act, record, by=record.actor)


# --- what starts them ---------------------------------------------------------------------------------------------


class Event(msgspec.Struct):
    """An accepted event that is kept. Sent inside a transaction just now it has no time yet."""

    name: str
    key: str | None
    execution_id: UUID | None
    id: str | None
    sent_at: datetime | None
    payload: Raw


def event(record: model.EventRecord) -> Event:
    """With its payload."""
    return _document(Event, record, payload=as_json(record.payload))


class Schedule(msgspec.Struct):
    """A schedule: `state` is active, paused, or off when the code no longer declares it."""

    id: str
    workflow: str
    queue: str
    state: str
    times: str
    catch_up: str
    max_catch_up: int
    overlap: str
    jitter_seconds: float
    next_at: datetime | None
    last_at: datetime | None
    paused_at: datetime | None
    running: int
    why: str | None


def schedule(one: schedules.Schedule) -> Schedule:
    """When it starts an execution next, and why not."""
    return _document(
        Schedule,
        one,
        times=str(one.timing),
        catch_up=one.policy.catch_up,
        max_catch_up=one.policy.max_catch_up,
        overlap=one.policy.overlap,
        jitter_seconds=one.policy.jitter.total_seconds(),
        why=one.note,
    )


class Trigger(msgspec.Struct):
    """A trigger by events. `waiting` events are not decided yet; `error` is what its code raised about the latest."""

    id: str
    workflow: str
    pattern: str
    is_declared: bool
    waiting: int
    error: str | None


def trigger(one: dispatching.EventTrigger) -> Trigger:
    """What it starts, and how far it has come."""
    return _document(Trigger, one)


class Hook(msgspec.Struct):
    """A trigger by webhooks. In `types`, `*` stands for any text; without a `connection` it takes those of all."""

    id: str
    workflow: str
    queue: str
    source: str
    types: list[str]
    connection: str | None


def hook(one: webhooks.HookSpec) -> Hook:
    """What it takes, and what it starts."""
    return _document(Hook, one, types=list(one.types))


class Delivery(msgspec.Struct, kw_only=True):
    """An accepted delivery, without what it said. `duplicates` were answered as it was, and started nothing.

    `is_reconciled`: it was not delivered, but found by asking.
    """

    id: UUID
    received_at: datetime
    source: str
    connection: str | None
    type: str
    dedupe_key: str
    subject: str | None
    executions: list[UUID]
    duplicates: int
    is_reconciled: bool


def delivery(one: webhooks.Delivery) -> Delivery:
    """As a listing has it."""
    return _document(Delivery, one, executions=list(one.executions))


# --- who runs them ------------------------------------------------------------------------------------------------


class Worker(msgspec.Struct):
    """A worker process. One that is not alive was not heard of for longer than its lease.

    `workflows` has each version as well, as in pay@2; `running` counts the executions that it holds.
    """

    name: str
    workflows: list[str]
    queues: list[str]
    is_idle: bool
    started_at: datetime
    expires_at: datetime
    is_alive: bool
    running: int


def worker(one: workers.WorkerRecord) -> Worker:
    """What it has, and how much it runs."""
    return _document(Worker, one, workflows=list(one.workflows), queues=list(one.queues))


# --- accounts, and who may use the API ----------------------------------------------------------------------------


class Connection(msgspec.Struct):
    """A connection without its secrets: `status` says whether it can be used, and `error` why not.

    `check_error` is what the last check, at `checked_at`, has met.
    """

    name: str
    connector: str
    application: str | None
    settings: dict[str, str]
    status: ConnectionStatus
    error: str | None
    expires_at: datetime | None
    refreshed_at: datetime | None
    checked_at: datetime | None
    check_error: str | None
    has_hook_secrets: bool


def connection(one: accounts.ConnectionInfo) -> Connection:
    """Whether it can be used, and why not."""
    return _document(Connection, one, settings=dict(one.settings))


class Application(msgspec.Struct):
    """What connections belong to, without its secrets."""

    name: str
    connector: str
    kind: ApplicationKind
    settings: dict[str, str]


def application(one: accounts.ApplicationInfo) -> Application:
    """Without its secrets."""
    return _document(Application, one, settings=dict(one.settings))


class Key(msgspec.Struct):
    """A key that encrypts what is stored: whether this server has it, and how many values it has encrypted."""

    id: str
    is_here: bool
    is_newest: bool
    values: int


def key(one: accounts.KeyInfo) -> Key:
    """By its id; the key itself is shown by nothing."""
    return _document(Key, one)


class Token(msgspec.Struct, kw_only=True):
    """A token. Its text is shown once, when it is created. `last_used_at` is exact to a minute."""

    name: str
    scope: tokens.Scope
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None


def token(one: tokens.Token) -> Token:
    """Without its text."""
    return _document(Token, one)


class Issued(Token, kw_only=True):
    """A new token: `token` is its text, which is shown this once."""

    token: str


def issued(one: tokens.IssuedToken) -> Issued:
    """With its text."""
    return _document(Issued, one.token, token=one.secret.reveal())
