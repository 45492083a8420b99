"""The rows of the memory store: what is known of one worker, one execution, one checkpoint, one failed attempt."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stepwell.core.model import (
    CancelledOutcome,
    Checkpoint,
    Child,
    Claimed,
    Completed,
    Ending,
    Execution,
    ExecutionId,
    Failed,
    FailedAttempt,
    Kind,
    NewCheckpoint,
    NewChild,
    NewExecution,
    NewFork,
    SessionId,
    StepRecord,
    Suspended,
    Tried,
    Waiting,
    WorkerInfo,
)
from stepwell.core.polling import SUSPECT_CRASHES
from stepwell.core.replay import failed_key, intent_key, versioned
from stepwell.core.status import Status, may_move
from stepwell.core.workers import WorkerRecord

Written = NewCheckpoint | FailedAttempt | Ending

ENDED_PARENT = "its parent has ended"

_ITEM = re.compile(r"/#[0-9]+\Z")  # the end of a map item's key


@dataclass(slots=True)
class WorkerRow:
    """One session."""

    info: WorkerInfo
    started_at: datetime
    expires_at: datetime
    is_idle: bool = False

    def is_alive(self, now: datetime) -> bool:
        return self.expires_at > now

    def shown(self, now: datetime, *, running: int) -> WorkerRecord:
        """As a listing has it."""
        info, is_alive = self.info, self.is_alive(now)
        times = self.started_at, self.expires_at
        return WorkerRecord(info.name, info.workflows, info.queues, self.is_idle, *times, is_alive, running)

    def has(self, code: str, queue: str) -> bool:
        """Whether it would claim executions of this code from this queue."""
        return code in self.info.workflows and queue in self.info.queues


@dataclass(slots=True)
class StoredCheckpoint:
    """One stored outcome. `moment` is the same for what was stored together, and grows, as time need not."""

    checkpoint: Checkpoint
    recorded_at: datetime
    moment: int = 0


@dataclass(slots=True)
class StoredAttempt:
    """One failed try of a step."""

    error: bytes
    failed_at: datetime
    retry_at: datetime


@dataclass(slots=True)
class ExecutionRow:
    """One execution, with everything that is stored of its steps."""

    new: NewExecution
    created_at: datetime
    due_at: datetime | None
    status: Status = Status.PENDING
    owner: SessionId | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_reason: str | None = None
    deadline_at: datetime | None = None
    version: int | None = None
    child: NewChild | None = None  # how its parent has started it
    paused_by: str | None = None
    is_told: bool = False
    fork_of: ExecutionId | None = None
    seed: ExecutionId | None = None
    signals: int = 0
    passes: int = 0
    crashes: int = 0
    is_awaited: bool = False
    reason: str | None = None
    result: bytes | None = None
    error: bytes | None = None
    failed_steps: tuple[str, ...] = ()
    checkpoints: dict[str, StoredCheckpoint] = field(default_factory=dict)
    attempts: dict[str, dict[int, StoredAttempt]] = field(default_factory=dict)

    @property
    def id(self) -> ExecutionId:
        return self.new.id

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what kills the workers."""
        return self.crashes >= SUSPECT_CRASHES

    @property
    def code(self) -> str:
        """The workflow, in the version that it began with."""
        return versioned(self.new.workflow, self.version)

    def lease_to(self, session: SessionId, now: datetime, versions: Mapping[str, int]) -> None:
        """A pass begins; the first one with the newest version that the worker has."""
        if self.passes == 0 and self.fork_of is None:
            self.version = versions.get(self.new.workflow)
        assert may_move(self.status, Status.RUNNING)
        self.status, self.owner, self.due_at, self.reason = Status.RUNNING, session, None, None
        self.passes += 1
        self.started_at = self.started_at or now

    @property
    def caller(self) -> ExecutionId | None:
        """The parent that waits for its end."""
        return self.child.execution_id if self.child and self.child.is_called else None

    @property
    def may_reopen(self) -> bool:
        """Whether it has ended without success, or is parked."""
        is_parked = self.status is Status.PENDING and self.passes > 0 and self.cancel_requested_at is None
        return is_parked or self.status in (Status.FAILED, Status.CANCELLED)

    def signal(self, now: datetime, reason: str | None = None) -> bool:
        """Something has come that it may wait for: whether it did, and is due now."""
        if self.status.is_final:
            return False
        self.signals += 1
        if self.status is not Status.WAITING:
            return False
        self.wait_until(now, reason or self.reason)
        return True

    def wait_until(self, due_at: datetime, reason: str | None) -> None:
        """It may be claimed at a time."""
        self._leave(Status.PENDING)
        self.due_at, self.reason = due_at, reason

    def end(self, status: Status, now: datetime, reason: str | None) -> None:
        """Its life ends."""
        self._leave(status)
        self.due_at, self.finished_at, self.reason, self.paused_by = None, now, reason, None

    def ask_to_cancel(self, reason: str, now: datetime, *, force: bool = False) -> None:
        """It ends now if it has not begun, or by force; else it goes on to clean up, or its worker is told."""
        self.cancel_requested_at, self.cancel_reason = self.cancel_requested_at or now, reason
        self.paused_by, self.is_told = None, True
        if force or self.passes == 0:
            self.end(Status.CANCELLED, now, reason)
            return
        self.reason = "is being cancelled"
        if self.owner is None:
            self.wait_until(now, self.reason)

    def crash(self, now: datetime, max_crashes: int) -> None:
        """Its worker died."""
        self.crashes += 1
        fact = f"crashed {self.crashes} workers"
        if self.crashes < max_crashes:
            self.wait_until(now, "its worker died")
        elif self.cancel_requested_at is not None:
            self.end(Status.CANCELLED, now, self.cancel_reason)
        else:
            self.end(Status.FAILED, now, fact)
            error = {"type": "WorkerCrashed", "message": fact, "traceback": ""}
            self.error = json.dumps(error, separators=(",", ":")).encode()

    def conclude(self, ending: Ending, now: datetime) -> None:
        """Its pass ends with this outcome. An accepted cancel wins over any end, because the caller was told so."""
        outcome, is_cancelling = ending.outcome, self.cancel_requested_at is not None
        match outcome:
            case Completed() if is_cancelling and ending.is_undoable:
                self.wait_until(now, "is being cancelled")
            case Completed() | Failed() | CancelledOutcome() if is_cancelling:
                self.end(Status.CANCELLED, now, self.cancel_reason)
            case Suspended() | Waiting() if is_cancelling and not ending.is_aware:
                self.wait_until(now, outcome.reason)
            case Completed(result):
                self.end(Status.COMPLETED, now, None)
                self.result = result
            case Failed(error, reason, failed_steps):
                self.end(Status.FAILED, now, reason)
                self.error, self.failed_steps = error, failed_steps
            case Suspended(due_at, reason):
                self.wait_until(due_at, reason)
            case Waiting(_, reason, signals) if signals != self.signals:
                self.wait_until(now, reason)
            case Waiting(timeout_at, reason):
                self._leave(Status.WAITING)
                self.due_at, self.reason = timeout_at, reason
            case CancelledOutcome(reason):
                self.end(Status.CANCELLED, now, reason)

    def reopen(self, now: datetime) -> None:
        """It is due now; the steps that ended it run again with fresh attempts, waits for a retry end."""
        for key in self.failed_steps:
            self.attempts.pop(key, None)
            if key in self.checkpoints and self.checkpoints[key].checkpoint.is_failure:
                del self.checkpoints[key]
        for attempt in (attempt for tries in self.attempts.values() for attempt in tries.values()):
            attempt.retry_at = min(attempt.retry_at, now)
        if self.finished_at is not None:
            self.started_at = None
        if self.deadline_at is not None and self.deadline_at <= now:
            self.deadline_at = None
        self.wait_until(now, "retried by hand")
        self.finished_at = self.cancel_requested_at = self.cancel_reason = self.error = None
        self.is_told = False
        self.crashes, self.failed_steps = 0, ()

    def resolve(self, key: str, value: bytes | None, now: datetime, moment: int) -> bool:
        """The outcome of an effect is known now, and it goes on: whether it was unknown."""
        prefix = f"{key}/#intent"
        tries = max((int(one.removeprefix(prefix)) for one in self.checkpoints if one.startswith(prefix)), default=0)
        failed = failed_key(key, tries)
        if not tries or key in self.checkpoints or failed in self.checkpoints:
            return False
        digest = self.checkpoints[intent_key(key, tries)].checkpoint.digest
        kind, name = (Kind.INTENT, failed) if value is None else (Kind.EFFECT, key)
        self.checkpoints[name] = StoredCheckpoint(Checkpoint(kind, digest, False, value or b"null"), now, moment)
        self.signals += 1
        self.wait_until(now, "resolved by hand")
        return True

    def moment_of(self, step: str) -> int | None:
        """When the step was stored; of one that has only parts so far, the last of these."""
        if step in self.checkpoints:
            return self.checkpoints[step].moment
        parts = (stored.moment for key, stored in self.checkpoints.items() if key.startswith(f"{step}/#"))
        return max(parts, default=None)

    def before(self, step: str | None, *, edited: Container[str]) -> Iterator[tuple[str, StoredCheckpoint]]:
        """The history before a step's outcome (None: all; empty: nothing): no failures that ended it, no intents."""
        if step == "":
            return
        at = self.moment_of(step) if step else None
        for key, stored in self.checkpoints.items():
            is_ending = stored.checkpoint.is_failure and key in self.failed_steps and key not in edited
            is_left = is_ending or stored.checkpoint.kind == Kind.INTENT
            is_part = step is not None and _is_part(key, stored.checkpoint.kind, step)
            if not is_part and not is_left and (at is None or stored.moment <= at):
                yield key, stored

    def fork(self, fork: NewFork, history: dict[str, StoredCheckpoint], now: datetime) -> ExecutionRow:
        """A new execution that begins with this history."""
        given = self.new.input if fork.input is None else fork.input
        new = self.new._replace(id=fork.id, input=given, key=None, delay_seconds=0.0, schedule=None)
        seed = self.seed or self.id
        row = ExecutionRow(new, created_at=now, due_at=now, fork_of=self.id, seed=seed, checkpoints=history)
        row.version = self.version
        return row

    def has(self, one: Written) -> bool:
        """Whether this outcome was stored before; it is never replaced."""
        match one:
            case NewCheckpoint():
                return one.key in self.checkpoints
            case FailedAttempt():
                return one.attempt in self.attempts.get(one.key, ())
            case Ending():
                return False

    def write(self, one: Written, now: datetime, moment: int) -> None:
        """Store it."""
        match one:
            case NewCheckpoint():
                checkpoint = Checkpoint(one.kind, one.digest, one.is_failure, one.value)
                self.checkpoints[one.key] = StoredCheckpoint(checkpoint, recorded_at=now, moment=moment)
            case FailedAttempt():
                self.attempts.setdefault(one.key, {})[one.attempt] = StoredAttempt(one.error, now, one.retry_at)
            case Ending():
                self.crashes = 0
                self.conclude(one, now)

    def claimed(self) -> Claimed:
        """What the worker gets that has just leased it."""
        assert self.started_at is not None
        new, history, retries = self.new, self._history(), self._retries()
        facts = (self.passes, self.crashes, self.created_at, self.started_at, self.signals)
        plans = (self.cancel_requested_at, self.cancel_reason, self.deadline_at)
        parent_id = self.child.execution_id if self.child else None
        return Claimed(
            new.id, new.workflow, new.input, *facts, *plans, parent_id, self.seed, self.version, history, retries
        )

    def called(self) -> Child:
        """What its parent sees of it."""
        new = self.new
        return Child(
            new.id, new.workflow, self.status, new.input, self.result, self.error, self.reason, self.finished_at
        )

    def shown(self, why: str | None) -> Execution:
        """What a caller sees of it."""
        return Execution(
            id=self.new.id,
            workflow=self.new.workflow,
            queue=self.new.queue,
            status=self.status,
            why=why,
            key=self.new.key,
            tags=self.new.tags,
            input=self.new.input,
            result=self.result,
            error=self.error,
            passes=self.passes,
            crashes=self.crashes,
            due_at=self.due_at,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            parent_id=self.child.execution_id if self.child else None,
            parent_key=self.child.key if self.child else None,
            deadline_at=self.deadline_at,
            fork_of=self.fork_of,
            seed=self.seed,
            version=self.version,
        )

    def records(self) -> Iterator[StepRecord]:
        """What is stored of its steps, in no order."""
        for key, stored in self.checkpoints.items():
            kind, digest, is_failure, value = stored.checkpoint
            attempt = 1 + len(self.attempts.get(key, ()))
            yield StepRecord(key, kind, is_failure, attempt, stored.recorded_at, None, value, digest)
        for key, tries in self.attempts.items():
            for attempt, one in tries.items():
                kind = Kind.ITEM if _ITEM.search(key) else Kind.STEP
                yield StepRecord(key, kind, True, attempt, one.failed_at, one.retry_at, one.error)

    def _leave(self, status: Status) -> None:
        assert status is self.status or may_move(self.status, status), f"{self.status} to {status} is no legal move"
        self.status, self.owner = status, None

    def _history(self) -> Mapping[str, Checkpoint]:
        stored = ((key, one.checkpoint) for key, one in self.checkpoints.items())
        return {key: checkpoint for key, checkpoint in stored if checkpoint.kind != Kind.ITEM}

    def _retries(self) -> Mapping[str, Tried]:
        return {
            key: Tried(max(tries), max(attempt.retry_at for attempt in tries.values()))
            for key, tries in self.attempts.items()
        }


def _is_part(key: str, kind: str, step: str) -> bool:
    """Whether it goes with the step: the step, what is below it, and the map whose item it is."""
    is_below = key == step or key.startswith(f"{step}/")
    return is_below or (kind == Kind.MAP and step.startswith(f"{key}/#"))
