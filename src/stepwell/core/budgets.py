"""Arithmetic of a vendor's allowance: a bucket that fills again, with a place for everybody who has to wait.

The state is one moment: when the bucket will be full again (the generic cell rate algorithm of ITU-T I.371, which is a
leaky bucket without a level). Whoever cannot go at once takes what it needs all the same and waits for its place: so
those who wait go in the order in which they came, and nobody overtakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stepwell.core.connections import Budget

USED_UP = "the rate limit is used up"  # why somebody waits for a place

MAX_FAILURES = 5  # in a row: the next ones close the connection
FIRST_BREAK = timedelta(seconds=15)
LONGEST_BREAK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Place:
    """When it is somebody's turn, and when the bucket is full again after that."""

    at: datetime
    full_at: datetime


def place_of(budget: Budget, full_at: datetime | None, *, cost: float, now: datetime) -> Place:
    """Take `cost` of the budget. What costs more than the whole bucket goes when that is full.

    `full_at` is when the bucket is full again as things stand, None for a full one.
    """
    if budget.per_second <= 0:
        return Place(now, now)
    full = timedelta(seconds=budget.capacity / budget.per_second)
    taken = timedelta(seconds=min(cost, budget.capacity) / budget.per_second)
    then = max(full_at or now, now) + taken
    return Place(max(then - full, now), then)


def full_after(budget: Budget, *, left: float) -> timedelta:
    """How long it takes until a bucket with so much in it is full again."""
    missing = max(budget.capacity - max(left, 0.0), 0.0)
    return timedelta(seconds=missing / budget.per_second)


def break_after(failures: int) -> timedelta:
    """How long a connection is left alone after so many failures in a row: not at all, then ever longer."""
    if failures < MAX_FAILURES:
        return timedelta(0)
    doublings = min(failures - MAX_FAILURES, 10)
    return min(FIRST_BREAK * (1 << doublings), LONGEST_BREAK)
