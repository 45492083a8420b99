"""Events that start executions, as plain dicts: the executable specification of `Triggers`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Protocol

from stepwell.core.dispatching import Dispatch, EventInfo, EventTrigger, Settled, TriggerSpec, matches
from stepwell.core.model import Event, NewEvent, NewExecution

Place = tuple[str, str, str, int]  # trigger, name, address, number


class Executions(Protocol):
    """What is needed of the store that keeps the executions."""

    def accept(self, new: Sequence[NewExecution]) -> object:
        """Accept executions; a key that is taken leaves the earlier one alone."""


@dataclass(slots=True)
class Waiting:
    """An event that is to be decided for one trigger."""

    dispatch: Dispatch
    ready_at: datetime
    error: str | None = None


class MemoryTriggers:
    """Keeps the Triggers protocol."""

    def __init__(self, executions: Executions, *, lock: RLock, now: Callable[[], datetime]) -> None:
        self._executions, self._lock, self._now = executions, lock, now
        self._triggers: dict[str, EventTrigger] = {}
        self._waiting: dict[Place, Waiting] = {}

    def sent(self, new: NewEvent, event: Event) -> bool:
        """An event was accepted; whether it is to be decided for any trigger."""
        key = new.address[2:] if new.address.startswith("k:") else None
        info = EventInfo(new.name, key, event.number, new.id, event.sent_at)
        found = [one for one in self._triggers.values() if one.is_declared and matches(one.pattern, new.name)]
        for one in found:
            dispatch = Dispatch(one.id, new.name, new.address, event.number, info, new.payload)
            self._waiting[_place(dispatch)] = Waiting(dispatch, self._now())
        return bool(found)

    def undecided(self) -> set[tuple[str, str, int]]:
        """The events about which a trigger has yet to decide, by name, address and number."""
        return {place[1:] for place in self._waiting}

    async def apply_triggers(self, declared: Sequence[TriggerSpec], *, workflows: Sequence[str]) -> None:
        with self._lock:
            for one in tuple(self._triggers.values()):
                if one.workflow in workflows:
                    self._triggers[one.id] = replace(one, is_declared=False)
            for spec in declared:
                self._triggers[spec.id] = EventTrigger(spec.id, spec.workflow, spec.pattern, is_declared=True)

    async def triggers(self) -> Sequence[EventTrigger]:
        with self._lock:
            return [self._shown(self._triggers[id]) for id in sorted(self._triggers)]

    def _shown(self, one: EventTrigger) -> EventTrigger:
        mine = [row for row in self._waiting.values() if row.dispatch.trigger == one.id]
        latest = max((row for row in mine if row.error is not None), key=lambda row: row.ready_at, default=None)
        return replace(one, waiting=len(mine), error=latest.error if latest else None)

    async def take(self, triggers: Sequence[str], *, limit: int, lease_for: timedelta) -> Sequence[Dispatch]:
        with self._lock:
            now = self._now()
            ready = [row for row in self._waiting.values() if row.dispatch.trigger in triggers and row.ready_at <= now]
            ready.sort(key=lambda row: (triggers.index(row.dispatch.trigger), row.ready_at))
            for row in ready[:limit]:
                row.ready_at = now + lease_for
            return sorted((row.dispatch for row in ready[:limit]), key=lambda one: one.number)

    def next_at(self, triggers: Collection[str]) -> datetime | None:
        """When the next event is to be decided for one of these triggers."""
        with self._lock:
            mine = [row.ready_at for row in self._waiting.values() if row.dispatch.trigger in triggers]
            return min(mine, default=None)

    async def settle(self, decided: Sequence[Settled]) -> int:
        with self._lock:
            mine = [one for one in decided if self._waiting.pop(_place(one.dispatch), None)]
            self._executions.accept([one.new for one in mine if one.new is not None])
            return len(mine)

    async def put_off(self, dispatch: Dispatch, *, error: str, delay: timedelta) -> None:
        with self._lock:
            if row := self._waiting.get(_place(dispatch)):
                row.ready_at, row.error = self._now() + delay, error


def _place(dispatch: Dispatch) -> Place:
    return dispatch.trigger, dispatch.name, dispatch.address, dispatch.number
