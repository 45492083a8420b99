"""What webhooks bring, on PostgreSQL. See `Inbox`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from stepwell.core.ids import time_of
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.webhooks import Accepted, Delivery, DeliveryFilter, HookSpec, NewDelivery
from stepwell.store import binary
from stepwell.store.catalog import Run
from stepwell.store.listing import Read
from stepwell.store.wire import Row

Place = tuple[str, str, str]  # source, connection, dedupe key: what a delivery is unique by


class PostgresInbox:
    """Keeps the Inbox protocol. `accept` goes by a connection of its own, which nothing else holds up."""

    def __init__(self, run: Run, *, read: Read, accept: Run) -> None:
        self._run, self._read, self._accept = run, read, accept

    async def apply_hooks(self, declared: Sequence[HookSpec], *, workflows: Sequence[str]) -> None:
        await self._run(
            "apply_hooks",
            binary.texts([spec.id for spec in declared]),
            binary.texts([spec.workflow for spec in declared]),
            binary.texts([spec.queue for spec in declared]),
            binary.texts([spec.parameter for spec in declared]),
            binary.texts([spec.source for spec in declared]),
            binary.texts([spec.connection for spec in declared]),
            binary.texts(["\n".join(spec.types) for spec in declared]),
            binary.texts(workflows),
        )

    async def hooks(self) -> tuple[int, Sequence[HookSpec]]:
        found = await self._read("hooks")
        return found[0][0], [_hook(row) for row in found if row[1] is not None]

    async def accept(self, deliveries: Sequence[NewDelivery], *, revision: int) -> Sequence[Accepted] | None:
        batch = batch_of(deliveries)
        found = await self._accept("accept", *accept_parameters(batch, revision=revision))
        if not found and deliveries:
            return None
        stored = {row[1:4]: row for row in found}
        return [_accepted(one, stored[place_of(one)]) for one in deliveries]

    async def started(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        workflows, names = binary.texts([one for one, _ in keys]), binary.texts([key for _, key in keys])
        return {(workflow, key) for workflow, key in await self._read("started", workflows, names)}

    async def deliveries(self, which: DeliveryFilter, *, before: UUID | None, limit: int) -> Sequence[Delivery]:
        found = await self._read(
            "deliveries",
            binary.maybe_text(which.source),
            binary.maybe_text(which.connection),
            binary.maybe_text(which.type),
            None if which.is_reconciled is None else binary.boolean(which.is_reconciled),
            None if before is None else before.bytes,
            None if before is None else binary.timestamptz(time_of(before)),
            binary.int4(limit),
        )
        return [_delivery(row) for row in found]

    async def delivery(self, delivery_id: UUID) -> Delivery | None:
        found = await self._read("delivery", delivery_id.bytes)
        return _delivery(found[0]) if found else None

    async def replay(self, delivery_id: UUID, new: Sequence[NewExecution]) -> bool:
        found = await self._run(
            "replay",
            delivery_id.bytes,
            binary.uuids([one.id for one in new]),
            binary.texts([one.workflow for one in new]),
            binary.texts([one.queue for one in new]),
            binary.byteas([one.input for one in new]),
        )
        return bool(found)


class Batch(NamedTuple):
    """Deliveries of one statement: each key once, with how often it came again, and each execution key with one id."""

    deliveries: Sequence[NewDelivery]
    repeated: Sequence[int]
    starts: Sequence[tuple[UUID, NewExecution]]  # with the delivery, in the order of the deliveries


def place_of(one: NewDelivery) -> Place:
    """What a delivery is unique by."""
    return one.source, one.connection or "", one.envelope.dedupe_key


def batch_of(deliveries: Iterable[NewDelivery]) -> Batch:
    """What one statement is to store."""
    firsts: dict[Place, NewDelivery] = {}
    repeated: Counter[Place] = Counter()
    for one in deliveries:
        is_first = firsts.setdefault(place_of(one), one).id == one.id
        repeated[place_of(one)] += not is_first
    ids: dict[tuple[str, str | None], ExecutionId] = {}
    starts = [
        (one.id, new._replace(id=ids.setdefault((new.workflow, new.key), new.id)))
        for one in firsts.values()
        for new in one.starts
    ]
    return Batch([*firsts.values()], [*repeated.values()], starts)


def accept_parameters(batch: Batch, *, revision: int) -> list[bytes]:
    """For `accept.sql`."""
    of, starts = batch.deliveries, batch.starts
    ends = _ends(batch)
    return [
        binary.int8(revision),
        binary.uuids([one.id for one in of]),
        binary.texts([one.source for one in of]),
        binary.texts([one.connection or "" for one in of]),
        binary.texts([one.envelope.dedupe_key for one in of]),
        binary.texts([one.envelope.type for one in of]),
        binary.texts([one.envelope.subject for one in of]),
        binary.byteas([_encode(dict(one.headers)) for one in of]),
        binary.byteas([one.body for one in of]),
        binary.booleans([one.is_reconciled for one in of]),
        binary.int4s([end - len(one.starts) + 1 for one, end in zip(of, ends, strict=True)]),
        binary.int4s(ends),
        binary.uuids([new.id for _, new in starts]),
        binary.uuids([delivery for delivery, _ in starts]),
        binary.texts([new.workflow for _, new in starts]),
        binary.texts([new.queue for _, new in starts]),
        binary.texts([new.key for _, new in starts]),
        binary.byteas([new.input for _, new in starts]),
        binary.int4s(batch.repeated),
    ]


def _ends(batch: Batch) -> list[int]:
    """The place of each delivery's last start, from 1."""
    ends, end = [], 0
    for one in batch.deliveries:
        end += len(one.starts)
        ends.append(end)
    return ends


def _accepted(one: NewDelivery, stored: Row) -> Accepted:
    """What became of it, from the row of `accept.sql` for its key."""
    return Accepted(stored[0], tuple(map(ExecutionId, stored[4])), is_new=stored[0] == one.id)


def _hook(row: Row) -> HookSpec:
    identity, workflow, queue, parameter, source, types, connection = row[1:]
    return HookSpec(identity, workflow, queue, parameter, source, tuple(types), connection)


def _delivery(row: Row) -> Delivery:
    """A row of `deliveries.sql` or `delivery.sql`."""
    identity, received_at, source, connection, type, key, subject, executions, duplicates, is_reconciled, *said = row
    started = tuple(map(ExecutionId, executions))
    facts = (identity, received_at, source, connection or None, type, key, subject, started, duplicates, is_reconciled)
    return Delivery(*facts, _decode(said[0]), said[1]) if said else Delivery(*facts)


_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], dict[str, str]] = msgspec.json.Decoder(dict[str, str]).decode
