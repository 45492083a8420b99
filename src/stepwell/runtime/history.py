"""An execution's history as one JSON document: all that a replay of it needs, and nothing that only a database has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from stepwell.core.model import Checkpoint, Claimed, Execution, ExecutionId, Kind, StepRecord, Tried
from stepwell.core.payload import unpack
from stepwell.core.status import Status
from stepwell.errors import InvalidOption

NULL = msgspec.Raw(b"null")


class StoredOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint. `value` is what the call returned; of a failure, the failure."""

    key: str
    kind: str
    digest: int
    is_failure: bool = False
    value: msgspec.Raw


class StoredAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt that is tried again."""

    key: str
    attempt: int
    retry_at: datetime
    error: msgspec.Raw


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was stored of an execution at the time `as_of`, by the store's clock."""

    format: Literal[1]
    id: UUID
    workflow: str
    status: Status
    seed: UUID | None = None  # of a fork: the execution whose uuid() and random() it sees
    as_of: datetime
    created_at: datetime
    started_at: datetime
    input: msgspec.Raw
    checkpoints: Sequence[StoredOutcome] = ()
    attempts: Sequence[StoredAttempt] = ()
    result: msgspec.Raw = NULL  # of a completed execution

    def claimed(self) -> Claimed:
        """The execution as a worker would get it."""
        return Claimed(
            ExecutionId(self.id),
            self.workflow,
            bytes(self.input),
            passes=2,  # not the first one: stored items of maps are looked for
            crashes=0,
            created_at=self.created_at,
            started_at=self.started_at,
            seed=ExecutionId(self.seed) if self.seed else None,
            checkpoints={one.key: _checkpoint(one) for one in self.checkpoints if one.kind != Kind.ITEM},
            retries=_retries(self.attempts),
        )

    def items(self, key: str) -> Iterable[tuple[int, Checkpoint]]:
        """The stored items of a map."""
        for one in self.checkpoints:
            map_key, _, number = one.key.rpartition("/#")
            if one.kind == Kind.ITEM and map_key == key:
                yield int(number), _checkpoint(one)


def history_of(execution: Execution, records: Iterable[StepRecord], *, as_of: datetime) -> History:
    """The history of an execution of which these outcomes and attempts are stored."""
    records = sorted(records, key=lambda record: (record.recorded_at, record.key, record.attempt))
    return History(
        format=1,
        id=execution.id,
        workflow=execution.workflow,
        status=execution.status,
        seed=execution.seed,
        as_of=as_of,
        created_at=execution.created_at,
        started_at=execution.started_at or execution.created_at,
        input=_raw(execution.input),
        checkpoints=[_outcome(record) for record in records if record.retry_at is None],
        attempts=[_attempt(record, record.retry_at) for record in records if record.retry_at is not None],
        result=NULL if execution.result is None else _raw(execution.result),
    )


def history_to_json(history: History) -> str:
    """The document. Later versions of Stepwell read it."""
    return msgspec.json.format(msgspec.json.encode(history), indent=2).decode()


def history_from_json(text: str | bytes) -> History:
    """Raises InvalidOption when it is no history."""
    try:
        return msgspec.json.decode(msgspec.json.format(text, indent=-1), type=History)  # values are stored compact
    except msgspec.MsgspecError as error:
        raise InvalidOption(f"this is no history that `stepwell executions export` wrote: {error}") from error


def _outcome(record: StepRecord) -> StoredOutcome:
    return StoredOutcome(
        key=record.key,
        kind=record.kind,
        digest=record.digest,
        is_failure=record.is_failure,
        value=_raw(record.value),
    )


def _attempt(record: StepRecord, retry_at: datetime) -> StoredAttempt:
    return StoredAttempt(key=record.key, attempt=record.attempt, retry_at=retry_at, error=_raw(record.value))


def _raw(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(unpack(data))


def _checkpoint(one: StoredOutcome) -> Checkpoint:
    return Checkpoint(one.kind, one.digest, one.is_failure, bytes(one.value))


def _retries(attempts: Iterable[StoredAttempt]) -> Mapping[str, Tried]:
    tried: dict[str, Tried] = {}
    for one in attempts:
        known = tried.get(one.key, Tried(0, one.retry_at))
        tried[one.key] = Tried(max(known.attempts, one.attempt), max(known.retry_at, one.retry_at))
    return tried
