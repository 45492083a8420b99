"""Rows as PostgreSQL returns them → the model's values, and batches → parameters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stepwell.core.events import execution_of as execution_of_address
from stepwell.core.events import first_after
from stepwell.core.model import (
    NO_HISTORY,
    NO_RETRIES,
    Batch,
    CancelledOutcome,
    Checkpoint,
    Child,
    Claim,
    Claimed,
    Completed,
    Created,
    Elsewhere,
    Ending,
    Event,
    Execution,
    ExecutionId,
    Failed,
    FailedAttempt,
    Found,
    Kind,
    Look,
    NewCheckpoint,
    NewChild,
    NewEvent,
    NewExecution,
    StepRecord,
    Suspended,
    Tried,
    Waiting,
)
from stepwell.core.status import Status
from stepwell.core.workers import WorkerRecord
from stepwell.store import binary
from stepwell.store.wire import Row


def created_of(new: Sequence[NewExecution], found: Sequence[Row]) -> list[Created]:
    """What became of each start, from the rows of `create.sql`: those without one are new."""
    standing = {(workflow, key): (identity, given) for identity, workflow, key, given, _ in found if identity}
    return [_created(row, standing.get((row.workflow, row.key))) for row in new]


def _created(row: NewExecution, standing: tuple[ExecutionId, bytes] | None) -> Created:
    if standing is None or standing[0] == row.id:
        return Created(row.id, is_new=True, input=None)
    return Created(standing[0], is_new=False, input=standing[1])


def create_parameters(given: Sequence[NewExecution]) -> list[bytes]:
    """For `create.sql`."""
    new = _first_of_each_key(given)
    return [
        binary.uuids([row.id for row in new]),
        binary.texts([row.workflow for row in new]),
        binary.texts([row.queue for row in new]),
        binary.texts([row.key for row in new]),
        binary.texts(["\n".join(row.tags) for row in new]),
        binary.byteas([row.input for row in new]),
        binary.float8s([row.delay_seconds for row in new]),
        binary.booleans([row.is_awaited for row in new]),
        binary.timestamptzs([_deadline_at(row) for row in new]),
        binary.float8s([_deadline_seconds(row) for row in new]),
    ]


def _deadline_at(row: NewExecution) -> datetime | None:
    return row.deadline if isinstance(row.deadline, datetime) else None


def _deadline_seconds(row: NewExecution) -> float:
    """Zero: it has none that counts from the store's clock."""
    return row.deadline.total_seconds() if isinstance(row.deadline, timedelta) else 0.0


def _first_of_each_key(new: Sequence[NewExecution]) -> Sequence[NewExecution]:
    """One statement must not meet a key twice; the order of keys is the order of locks, against deadlocks."""
    first: dict[object, NewExecution] = {}
    for row in new:
        first.setdefault((row.workflow, row.key) if row.key is not None else row.id, row)
    return sorted(first.values(), key=lambda row: (row.workflow, row.key or ""))


def create_one_parameters(row: NewExecution) -> tuple[bytes | None, ...]:
    """For `create_one.sql`."""
    return (
        row.id.bytes,
        row.workflow.encode(),
        row.queue.encode(),
        binary.maybe_text(row.key),
        "\n".join(row.tags).encode(),
        row.input,
        binary.float8(row.delay_seconds),
        binary.boolean(row.is_awaited),
        binary.maybe_timestamptz(_deadline_at(row)),
        binary.float8(_deadline_seconds(row)),
    )


def batch_parameters(batch: Batch) -> list[bytes]:
    """For `flush.sql`, without its first parameter (the session)."""
    return [
        *(checkpoint_parameters(batch.checkpoints) if batch.checkpoints else _NO_CHECKPOINTS),
        *(_attempt_parameters(batch.attempts) if batch.attempts else _NO_ATTEMPTS),
        *(_ending_parameters(batch.endings) if batch.endings else _NO_ENDINGS),
        *(_child_parameters(batch.children) if batch.children else _NO_CHILDREN),
        binary.booleans([ending.is_undoable for ending in batch.endings]),
    ]


def ends_a_wait(checkpoint: NewCheckpoint) -> bool:
    """Whether what was registered for this call's waits is over."""
    return checkpoint.kind in (Kind.WAIT, Kind.FIRST)


def is_plain(batch: Batch) -> bool:
    """Whether it holds checkpoints, and completions that concern no parent, only: what nearly every flush does."""
    if batch.attempts or batch.children or any(map(ends_a_wait, batch.checkpoints)):
        return False
    return all(type(ending.outcome) is Completed and not ending.is_child for ending in batch.endings)


def checkpoint_parameters(checkpoints: Sequence[NewCheckpoint]) -> list[bytes]:
    """For `checkpoint.sql`, without its first parameter (the session)."""
    return [
        binary.uuids([row.execution_id for row in checkpoints]),
        binary.texts([row.key for row in checkpoints]),
        binary.texts([row.kind for row in checkpoints]),
        binary.int4s([row.digest for row in checkpoints]),
        binary.booleans([row.is_failure for row in checkpoints]),
        binary.byteas([row.value for row in checkpoints]),
    ]


def checkpoint_one_parameters(row: NewCheckpoint) -> tuple[bytes, ...]:
    """For `checkpoint_one.sql`, without its first parameter (the session)."""
    is_failure = binary.boolean(row.is_failure)
    return row.execution_id.bytes, row.key.encode(), row.kind.encode(), binary.int4(row.digest), is_failure, row.value


def completion_parameters(endings: Sequence[Ending]) -> list[bytes]:
    """For `complete.sql`, after what `checkpoint.sql` takes. All of them are completions."""
    return [
        binary.uuids([ending.execution_id for ending in endings]),
        binary.byteas([ending.outcome.result for ending in endings if isinstance(ending.outcome, Completed)]),
    ]


def _attempt_parameters(attempts: Sequence[FailedAttempt]) -> list[bytes]:
    return [
        binary.uuids([row.execution_id for row in attempts]),
        binary.texts([row.key for row in attempts]),
        binary.int4s([row.attempt for row in attempts]),
        binary.timestamptzs([row.retry_at for row in attempts]),
        binary.byteas([row.error for row in attempts]),
    ]


def _ending_parameters(endings: Sequence[Ending]) -> list[bytes]:
    ends = [_ending(ending) for ending in endings]
    return [
        binary.uuids([ending.execution_id for ending in endings]),
        binary.texts([end[0] for end in ends]),
        binary.timestamptzs([end[1] for end in ends]),
        binary.byteas([end[2] for end in ends]),
        binary.byteas([end[3] for end in ends]),
        binary.texts([end[4] for end in ends]),
        binary.texts(["\n".join(end[5]) for end in ends]),
        binary.int4s([_signals(ending) for ending in endings]),
        binary.booleans([ending.is_aware for ending in endings]),
    ]


def _signals(ending: Ending) -> int:
    return ending.outcome.signals if isinstance(ending.outcome, Waiting) else 0


def _child_parameters(children: Sequence[NewChild]) -> list[bytes]:
    return [
        binary.uuids([row.id for row in children]),
        binary.texts([row.workflow for row in children]),
        binary.texts([row.queue for row in children]),
        binary.byteas([row.input for row in children]),
        binary.uuids([row.execution_id for row in children]),
        binary.texts([row.key for row in children]),
        binary.booleans([row.is_called for row in children]),
        binary.texts(["\n".join(row.tags) for row in children]),
    ]


def event_parameters(event: NewEvent) -> list[bytes | None]:
    """For `send_later.sql`, and for `send.sql` without its last parameter (the number in the outbox)."""
    receiver = execution_of_address(event.address)
    return [
        event.name.encode(),
        event.address.encode(),
        binary.maybe_text(event.id),
        event.payload,
        receiver.bytes if receiver else None,
    ]


def look_parameters(looks: Sequence[Look]) -> list[bytes]:
    """For `look.sql`."""
    return [
        binary.uuids([look.execution_id for look in looks]),
        binary.texts([look.key for look in looks]),
        binary.texts([look.name for look in looks]),
        binary.texts([look.address for look in looks]),
        binary.int8s([first_after(look) for look in looks]),
        binary.timestamptzs([look.until for look in looks]),
        binary.texts([_among(look) for look in looks]),
    ]


def _among(look: Look) -> str | None:
    if look.among is None:
        return None
    return msgspec.json.encode([{"name": name, "address": address} for name, address in look.among]).decode()


def posted_of(row: Row) -> tuple[int, NewEvent]:
    """A row of `outbox.sql`: its number and the event."""
    number, name, address, identity, payload = row
    return number, NewEvent(name, address, payload, identity)


_End = tuple[str, datetime | None, bytes | None, bytes | None, str | None, tuple[str, ...]]


def _ending(ending: Ending) -> _End:
    """(status, due_at, result, error, reason, failed_steps)"""
    match ending.outcome:
        case Completed(result):
            return Status.COMPLETED, None, result, None, None, ()
        case Failed(error, reason, failed_steps):
            return Status.FAILED, None, None, error, reason, failed_steps
        case Suspended(due_at, reason):
            return Status.PENDING, due_at, None, None, reason, ()
        case Waiting(due_at, reason):
            return Status.WAITING, due_at, None, None, reason, ()
        case CancelledOutcome(reason):
            return Status.CANCELLED, None, None, None, reason, ()


# most flushes carry one kind of row only, and a lone step's flush is mostly this
_NO_CHECKPOINTS, _NO_ATTEMPTS, _NO_ENDINGS = checkpoint_parameters(()), _attempt_parameters(()), _ending_parameters(())
_NO_CHILDREN = _child_parameters(())


def claim_of(rows: Sequence[Row]) -> Claim:
    """The answer of `claim.sql`; its first row is always there."""
    now, _, next_due_at, reached = rows[0][:4]
    return Claim(now, [_claimed(row) for row in rows if row[5] is not None], next_due_at, reached)


def _claimed(row: Row) -> Claimed:
    keys, kinds, digests, failures, contents, retry_keys, attempts, retry_at = row[19:]
    history = dict(zip(keys, map(Checkpoint, kinds, digests, failures, contents), strict=True)) if keys else NO_HISTORY
    retries = dict(zip(retry_keys, map(Tried, attempts, retry_at), strict=True)) if retry_keys else NO_RETRIES
    facts = Claimed(*row[5:19])
    return facts._replace(checkpoints=history, retries=retries) if keys or retry_keys else facts


def found_of(row: Row) -> Found:
    """A row of `look.sql`."""
    _, number, sent_at, payload, other_name, other_address, _ = row
    if other_name is not None:
        return Elsewhere(other_name, other_address)
    return None if number is None else Event(number, sent_at, payload)


def child_of(row: Row) -> Child:
    """A row of `called.sql`."""
    _, identity, workflow, status, *rest = row
    return Child(identity, workflow, Status(status), *rest)


def execution_of(row: Row) -> Execution:
    """A row of `execution.sql`, `executions.sql`, `ended.sql` or `watch.sql`."""
    identity, workflow, queue, status, why, key, tags, given, result, error, *rest = row
    return Execution(
        identity, workflow, queue, Status(status), why, key, tuple(tags or ()), given, result, error, *rest
    )


def worker_of(row: Row) -> WorkerRecord:
    """A row of `workers.sql`."""
    name, workflows, queues, *rest = row
    return WorkerRecord(name, tuple(workflows), tuple(queues), *rest)


def step_of(row: Row) -> StepRecord:
    """A row of `steps.sql`."""
    return StepRecord(*row)
