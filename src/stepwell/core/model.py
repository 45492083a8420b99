"""What the engine talks about: plain immutable values, shared by every store and the runtime.

Rows that are made once per step are NamedTuples: a frozen dataclass costs four times as much to build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from stepwell.core.status import Status

ExecutionId = NewType("ExecutionId", UUID)
SessionId = NewType("SessionId", UUID)

DEFAULT_QUEUE = "default"


class Kind(StrEnum):
    """What made a checkpoint; a stored one is only ever met by a call of the same kind."""

    STEP = "step"
    SLEEP = "sleep"
    VALUE = "value"
    MAP = "map"
    ITEM = "item"
    TRANSACTION = "transaction"
    WAIT = "wait"
    FIRST = "first"
    CHILD = "child"
    RESULT = "result"
    EVENT = "event"
    EFFECT = "effect"
    INTENT = "intent"
    PATCH = "patch"


# --- what goes into the store -------------------------------------------------------------------------------------


class NewExecution(NamedTuple):
    """An execution to be accepted. `delay_seconds` counts from the store's clock; `schedule`: whose tick it is.

    `deadline` is a time, or a duration by the store's clock: it does not begin after it, and stops when it comes.
    `is_awaited`: the caller is to be told of its end, as if it had been watched from the first.
    """

    id: ExecutionId
    workflow: str
    input: bytes
    queue: str = DEFAULT_QUEUE
    key: str | None = None
    tags: tuple[str, ...] = ()
    delay_seconds: float = 0.0
    schedule: str | None = None
    is_awaited: bool = False
    deadline: datetime | timedelta | None = None


class Created(NamedTuple):
    """The execution that now stands for a NewExecution: itself, or the earlier one with the same key."""

    id: ExecutionId
    is_new: bool
    input: bytes | None  # the earlier execution's input, when it is not new


class NewCheckpoint(NamedTuple):
    """The outcome of one durable call, to be stored once and for all."""

    execution_id: ExecutionId
    key: str
    kind: Kind
    digest: int
    value: bytes
    is_failure: bool = False


class NewChild(NamedTuple):
    """An execution that another one starts, known by the parent's call; stored together with what that stores."""

    id: ExecutionId
    workflow: str
    queue: str
    input: bytes
    execution_id: ExecutionId  # the parent, who must own its lease
    key: str
    is_called: bool  # the parent waits for its end
    tags: tuple[str, ...] = ()


class FailedAttempt(NamedTuple):
    """A failed try of a step that is to be tried again at `retry_at` (the store's clock)."""

    execution_id: ExecutionId
    key: str
    attempt: int
    retry_at: datetime
    error: bytes


@dataclass(frozen=True, slots=True)
class Completed:
    """The workflow returned."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The workflow raised. `failed_steps` are those that `retry` has to run again."""

    error: bytes
    reason: str
    failed_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspended:
    """The pass can go no further before `due_at` (the store's clock): a sleep, a retry, or handed back at once."""

    due_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pass waits for an event or a child, at the latest until `due_at`. `signals` is what the claim said.

    Has that moved since, the execution is due at once: what it waits for may have come.
    """

    due_at: datetime | None
    reason: str
    signals: int


@dataclass(frozen=True, slots=True)
class CancelledOutcome:
    """The pass was stopped because somebody cancelled the execution, or its deadline has come."""

    reason: str


Outcome = Completed | Failed | Suspended | Waiting | CancelledOutcome


class Ending(NamedTuple):
    """The one outcome of a pass. `is_aware`: it knows that the execution is being cancelled.

    `is_undoable`: the workflow returned, and has registered what undoes its work. Were a cancel accepted that the pass
    does not know of, the execution goes on, to be undone.
    `is_child`: another execution has started it. A hint for the shorter way: what the store knows of it decides.
    """

    execution_id: ExecutionId
    outcome: Outcome
    is_aware: bool = False
    is_undoable: bool = False
    is_child: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything one process wants stored at one moment."""

    checkpoints: Sequence[NewCheckpoint] = ()
    attempts: Sequence[FailedAttempt] = ()
    endings: Sequence[Ending] = ()
    children: Sequence[NewChild] = ()


class Flushed(NamedTuple):
    """What became of a batch. Nothing of a refused execution was stored: this session no longer owns it."""

    refused: frozenset[ExecutionId]
    cancelling: frozenset[ExecutionId]  # owned by this session, and somebody asked to cancel them


class NewEvent(NamedTuple):
    """An event to be accepted at an address (see `core/events.py`). With an id, the topic takes it once."""

    name: str
    address: str
    payload: bytes
    id: str | None = None


class Look(NamedTuple):
    """A durable call asks for the first event of a topic after `position` that was sent at `since` or later.

    Who waits takes none that is sent after `until`. `among`: the names and addresses of all topics that this call waits
    for; None: nobody asks.
    """

    execution_id: ExecutionId
    key: str
    name: str
    address: str
    position: int
    since: datetime
    until: datetime | None = None
    among: tuple[tuple[str, str], ...] | None = None


# --- what comes out -----------------------------------------------------------------------------------------------


class Checkpoint(NamedTuple):
    """A stored outcome, as a replay meets it."""

    kind: str
    digest: int
    is_failure: bool
    value: bytes


class Tried(NamedTuple):
    """How often a step has failed so far, and when it may be tried again."""

    attempts: int
    retry_at: datetime


NO_HISTORY: Mapping[str, Checkpoint] = {}
NO_RETRIES: Mapping[str, Tried] = {}


class Event(NamedTuple):
    """An event as a wait meets it."""

    number: int
    sent_at: datetime
    payload: bytes


class Elsewhere(NamedTuple):
    """The call has begun to wait for this topic, which is none of those that it waits for now."""

    name: str
    address: str


Found = Event | Elsewhere | None  # by a look


class Sent(NamedTuple):
    """What became of an event: how many executions waited for it and go on now; whether it is no repetition.

    Both are None of an event that was sent inside a transaction: only its commit decides.
    """

    is_new: bool | None
    waiting: int | None


class Child(NamedTuple):
    """A child as its parent meets it."""

    id: ExecutionId
    workflow: str
    status: Status
    input: bytes
    result: bytes | None
    error: bytes | None
    reason: str | None
    finished_at: datetime | None


class Claimed(NamedTuple):
    """An execution leased to this session, with its whole history (map items apart: they are read in pages)."""

    id: ExecutionId
    workflow: str
    input: bytes
    passes: int
    crashes: int
    created_at: datetime
    started_at: datetime
    signals: int = 0
    cancel_requested_at: datetime | None = None
    cancel_reason: str | None = None
    deadline_at: datetime | None = None
    parent_id: ExecutionId | None = None
    seed: ExecutionId | None = None  # whose uuid() and random() a fork sees
    version: int | None = None  # of the workflow, that it began with
    checkpoints: Mapping[str, Checkpoint] = NO_HISTORY
    retries: Mapping[str, Tried] = NO_RETRIES

    @property
    def is_fresh(self) -> bool:
        """Whether nothing can be stored of it: it has not run before, and is no fork."""
        return self.passes == 1 and self.seed is None


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim.

    `next_due_at` is when the next execution falls due, if there is one and fewer than `limit` were taken; a time that
    has passed means that its row was locked just now. `reached` is the latest due time among those taken.
    """

    now: datetime
    executions: Sequence[Claimed] = ()
    next_due_at: datetime | None = None
    reached: datetime | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as a caller sees it. Payloads are the stored bytes; `why` says why it is not moving."""

    id: ExecutionId
    workflow: str
    queue: str
    status: Status
    why: str | None
    key: str | None
    tags: tuple[str, ...]
    input: bytes
    result: bytes | None
    error: bytes | None
    passes: int
    crashes: int
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    parent_id: ExecutionId | None = None
    parent_key: str | None = None
    deadline_at: datetime | None = None
    fork_of: ExecutionId | None = None  # with whose history it began
    seed: ExecutionId | None = None  # whose uuid() and random() a fork sees
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is told of an execution it runs."""

    cancel_requested_at: datetime | None
    cancel_reason: str | None
    is_paused: bool


@dataclass(frozen=True, slots=True)
class NewFork:
    """A new execution with the history of another one.

    The history is what that had before `from_step` (None: all of it; empty: none), with some outcomes edited.
    """

    source: ExecutionId
    id: ExecutionId
    from_step: str | None = None
    input: bytes | None = None
    edit: Mapping[str, bytes] = field(default_factory=dict)


class Forked(StrEnum):
    """What became of a fork, or why there is none."""

    MADE = "made"
    NO_EXECUTION = "no execution"
    NO_STEP = "no such step"
    NO_EDIT = "no such outcome to edit"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What somebody did to an execution: cancel, force-cancel, pause, resume, retry, fork or resolve.

    `detail` is the reason they gave, or the id of the fork. `number` orders and pages.
    """

    number: int
    done_at: datetime
    execution_id: ExecutionId
    actor: str
    action: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One stored outcome or failed attempt of a step. `retry_at` is set for an attempt that is tried again.

    `digest` tells the arguments of an outcome from others; an attempt has none.
    """

    key: str
    kind: str
    is_failure: bool
    attempt: int
    recorded_at: datetime
    retry_at: datetime | None
    value: bytes
    digest: int = 0


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An accepted event that is kept: for whoever waits for its key, or for one execution.

    Sent inside a transaction just now it has no time yet. The payload is the stored bytes.
    """

    name: str
    key: str | None
    execution_id: UUID | None
    id: str | None
    sent_at: datetime | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class WaitRecord:
    """A step of an execution waits for the next event of this name: with this key, or sent to the execution itself."""

    execution_id: ExecutionId
    step: str
    name: str
    key: str | None
    workflow: str
    status: Status
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which executions are meant; empty means all. What is given must all hold.

    Times are from `after` on, and earlier than `before`. An execution has a `text` when each of its words begins a word
    of the key, the tags, the reason, the input or the result, or when its id begins with it. Listings are newest first,
    by `created_at`; `before` pages: those that come after this one.
    """

    statuses: tuple[Status, ...] = ()
    workflow: str | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    parent: ExecutionId | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None
    text: str | None = None
    before: ExecutionId | None = None


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself when it opens its session. `workflows` has each version as well, as in pay@2."""

    name: str
    workflows: tuple[str, ...]
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a worker asks for. `not_before` skips the dead head of the queue's index; None looks at all of it."""

    queues: tuple[str, ...]
    workflows: tuple[str, ...]
    limit: int
    not_before: datetime | None = None
    versions: Mapping[str, int] = field(default_factory=dict)  # with which an execution of these workflows begins
    with_suspect: bool = True  # also one execution that has crashed workers; only while no other such one runs here


@dataclass(frozen=True, slots=True)
class Reaped:
    """What ending dead sessions freed."""

    sessions: int = 0
    freed: int = 0
    failed: tuple[ExecutionId, ...] = field(default=())  # executions that had crashed too many workers
