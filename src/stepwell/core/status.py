"""The statuses of an execution and the legal moves between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where an execution is in its life. Sleeping and waiting for a retry are `pending` with a time."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the execution has ended; only `retry` makes it move again."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

# why each move happens, in the words of the state diagram
MOVES: dict[tuple[Status, Status], str] = {
    (Status.PENDING, Status.RUNNING): "claimed",
    (Status.PENDING, Status.CANCELLED): "cancelled",
    (Status.RUNNING, Status.PENDING): "sleeps, retries later, is handed back or its worker died",
    (Status.RUNNING, Status.WAITING): "waits for an event or a child",
    (Status.RUNNING, Status.COMPLETED): "returned",
    (Status.RUNNING, Status.FAILED): "raised, or crashed too many workers",
    (Status.RUNNING, Status.CANCELLED): "cancelled",
    (Status.WAITING, Status.PENDING): "what it waits for has come",
    (Status.WAITING, Status.RUNNING): "claimed when its time-out has come",
    (Status.WAITING, Status.CANCELLED): "cancelled",
    (Status.FAILED, Status.PENDING): "retried",
    (Status.CANCELLED, Status.PENDING): "retried",
}


def may_move(before: Status, after: Status) -> bool:
    """Whether an execution may go from one status straight to another."""
    return (before, after) in MOVES
