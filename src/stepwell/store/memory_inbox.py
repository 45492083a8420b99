"""What webhooks bring, as plain dicts: the executable specification of `Inbox`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from stepwell.core.ids import time_of
from stepwell.core.model import Created, NewExecution
from stepwell.core.webhooks import Accepted, Delivery, DeliveryFilter, HookSpec, NewDelivery

Place = tuple[str, str | None, str]  # source, connection, dedupe key


class Executions(Protocol):
    """What an inbox needs of the store that keeps the executions."""

    def accept(self, new: Sequence[NewExecution]) -> Sequence[Created]:
        """Accept executions; a key that is taken leaves the earlier one alone."""

    def has(self, workflow: str, key: str) -> bool:
        """Whether there is an execution of that key."""


class MemoryInbox:
    """Keeps the Inbox protocol."""

    def __init__(
        self, executions: Executions, *, lock: AbstractContextManager[object], now: Callable[[], datetime]
    ) -> None:
        self._executions, self._lock, self._now = executions, lock, now
        self._hooks: dict[str, tuple[HookSpec, bool]] = {}  # with whether it is declared
        self._revision = 0
        self._deliveries: dict[Place, Delivery] = {}

    def change_secrets(self) -> None:
        """Somebody has changed a secret by which deliveries are verified."""
        with self._lock:
            self._revision += 1

    async def apply_hooks(self, declared: Sequence[HookSpec], *, workflows: Sequence[str]) -> None:
        with self._lock:
            off = {id: (spec, False) for id, (spec, _) in self._hooks.items() if spec.workflow in workflows}
            changed = self._hooks | off | {spec.id: (spec, True) for spec in declared}
            if changed != self._hooks:
                self._revision += 1
            self._hooks = changed

    async def hooks(self) -> tuple[int, Sequence[HookSpec]]:
        with self._lock:
            return self._revision, [spec for _, (spec, is_declared) in sorted(self._hooks.items()) if is_declared]

    async def accept(self, deliveries: Sequence[NewDelivery], *, revision: int) -> Sequence[Accepted] | None:
        with self._lock:
            if deliveries and revision != self._revision:
                return None
            stored = [self._store(one) for one in deliveries]
            both = zip(stored, deliveries, strict=True)
            return [Accepted(one.id, one.executions, is_new=one.id == new.id) for one, new in both]

    def _store(self, new: NewDelivery) -> Delivery:
        place = (new.source, new.connection, new.envelope.dedupe_key)
        known = self._deliveries.get(place)
        if known is None:
            self._deliveries[place] = self._first(new)
        elif known.id != new.id:
            self._deliveries[place] = replace(known, duplicates=known.duplicates + 1)
        return self._deliveries[place]

    def _first(self, new: NewDelivery) -> Delivery:
        envelope, started = new.envelope, self._executions.accept(new.starts)
        return Delivery(
            id=new.id,
            received_at=self._now(),
            source=new.source,
            connection=new.connection,
            type=envelope.type,
            dedupe_key=envelope.dedupe_key,
            subject=envelope.subject,
            executions=tuple(created.id for created in started),
            duplicates=0,
            is_reconciled=new.is_reconciled,
            headers=dict(new.headers),
            body=new.body,
        )

    async def started(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        with self._lock:
            return {one for one in keys if self._executions.has(*one)}

    async def deliveries(self, which: DeliveryFilter, *, before: UUID | None, limit: int) -> Sequence[Delivery]:
        with self._lock:
            last = None if before is None else (self._received_at(before), before)
            found = sorted(self._deliveries.values(), key=_place, reverse=True)
            page = [one for one in found if (last is None or _place(one) < last) and which.takes(one)]
            return [replace(one, headers={}, body=b"") for one in page[:limit]]

    def _received_at(self, delivery_id: UUID) -> datetime:
        known = self._find(delivery_id)
        return known.received_at if known else time_of(delivery_id)

    async def delivery(self, delivery_id: UUID) -> Delivery | None:
        with self._lock:
            return self._find(delivery_id)

    async def replay(self, delivery_id: UUID, new: Sequence[NewExecution]) -> bool:
        with self._lock:
            known = self._find(delivery_id)
            if known is None:
                return False
            if not {one.id for one in new} <= set(known.executions):
                created = self._executions.accept([one._replace(key=None) for one in new])
                place = (known.source, known.connection, known.dedupe_key)
                started = (*known.executions, *(one.id for one in created))
                self._deliveries[place] = replace(known, executions=started)
            return True

    def _find(self, delivery_id: UUID) -> Delivery | None:
        return next((one for one in self._deliveries.values() if one.id == delivery_id), None)

    def remove(self, *, accepted_before: datetime) -> None:
        """Forget what was accepted before that time."""
        kept = self._deliveries.items()
        self._deliveries = {place: one for place, one in kept if one.received_at >= accepted_before}


def _place(one: Delivery) -> tuple[datetime, UUID]:
    return one.received_at, one.id
