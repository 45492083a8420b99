"""What the vendors allow, in memory: the model of the table `budget` and of the places in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stepwell.core.budgets import USED_UP, break_after, full_after, place_of
from stepwell.core.connections import Admission, Budget

KEPT_AFTER = timedelta(days=1)  # its turn: an execution that still wants it would have come
NONE = timedelta(0)


@dataclass(slots=True)
class _Connection:
    closed_until: datetime | None = None
    reason: str = ""
    failures: int = 0
    full_at: dict[str, datetime] = field(default_factory=dict)
    places: dict[str, datetime] = field(default_factory=dict)  # by ticket


class MemoryBudgets:
    """Keeps the Budgets protocol."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._connections: dict[str, _Connection] = {}

    async def admit(self, connection: str, budget: Budget, *, cost: float, ticket: str) -> Admission:
        now, state = self._now(), self._connections.setdefault(connection, _Connection())
        at = state.places.get(ticket)
        if at is None:
            place = place_of(budget, state.full_at.get(budget.name), cost=cost, now=now)
            state.full_at[budget.name], at = place.full_at, place.at
        is_closed = state.closed_until is not None and state.closed_until > max(at, now)
        delay = (state.closed_until if is_closed and state.closed_until else at) - now
        if delay <= NONE:
            state.places.pop(ticket, None)
            return Admission()
        state.places[ticket] = at
        return Admission(delay, state.reason if is_closed else USED_UP)

    def remove_places(self) -> bool:
        """As Upkeep.remove_places."""
        long_ago = self._now() - KEPT_AFTER
        for state in self._connections.values():
            state.places = {ticket: at for ticket, at in state.places.items() if at >= long_ago}
        return False

    async def correct(self, connection: str, budget: Budget, *, left: float) -> None:
        now, state = self._now(), self._connections.setdefault(connection, _Connection())
        said = now + full_after(budget, left=left)
        known = state.full_at.get(budget.name, now)
        state.full_at[budget.name] = max(said, known) if state.places else said

    async def close_until(self, connection: str, *, delay: timedelta, reason: str) -> None:
        state = self._connections.setdefault(connection, _Connection())
        until = self._now() + delay
        if state.closed_until is None or until > state.closed_until:
            state.closed_until, state.reason = until, reason

    async def report(self, connection: str, *, is_failure: bool) -> None:
        state = self._connections.setdefault(connection, _Connection())
        state.failures = state.failures + 1 if is_failure else 0
        if (pause := break_after(state.failures)) > NONE:
            await self.close_until(connection, delay=pause, reason=f"{state.failures} failures in a row")
