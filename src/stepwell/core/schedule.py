"""Schedules as the engine knows them, and what is decided about their ticks.

A schedule's row says up to which instant everything has been decided (`decided_at`) and when to look again (`next_at`).
Whoever looks reads the row and the store's time at once, decides here, and writes the decision if the row is still the
one that was read. So a tick is decided once, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from stepwell.core.model import ExecutionId
from stepwell.core.timing import Timing
from stepwell.errors import InvalidOption

LATE = timedelta(minutes=1)  # a tick that nobody could start within this was missed
MOST_ON_TIME = 61  # ticks within LATE, at most one a second
MAX_CATCH_UP = 1_000  # one statement starts them all


class CatchUp(StrEnum):
    """What becomes of ticks that were missed because no worker was there."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


OFF_NOTE = "no longer declared by the code"


class Overlap(StrEnum):
    """What becomes of a tick while an execution of the schedule has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Tick:
    """One planned time of a schedule: a workflow's parameter that is annotated so gets the tick that started it.

    `at` is the planned time, and `previous` the one before it that started an execution; both are in UTC.
    """

    schedule: str
    at: datetime
    previous: datetime | None = None

    @property
    def key(self) -> str:
        """The key of the execution that it starts: a tick has one."""
        return f"schedule:{self.schedule}@{self.at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of ticks that come late, and of those that come too early."""

    catch_up: CatchUp = CatchUp.LAST
    max_catch_up: int = 100
    overlap: Overlap = Overlap.SKIP
    jitter: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if not 1 <= self.max_catch_up <= MAX_CATCH_UP:
            raise InvalidOption(f"max_catch_up is {self.max_catch_up}, use 1 to {MAX_CATCH_UP:,}")
        if self.catch_up is CatchUp.ALL and self.overlap in (Overlap.SKIP, Overlap.REPLACE):
            raise InvalidOption(
                f"catch_up='all' starts several executions, of which overlap='{self.overlap}' would leave one;"
                " use overlap='queue', one after the other, or 'allow', all at once"
            )


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """A schedule as the code declares it. `parameter` is the one that gets the tick."""

    id: str
    workflow: str
    queue: str
    timing: Timing
    policy: Policy = field(default_factory=Policy)
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it is now. `note` says what became of its latest ticks, if that was anything but a start.

    `next_at` is when it is looked at next, `last_at` the latest tick that started an execution, `running` how many of
    its executions have not ended (counted up to 100).
    """

    id: str
    workflow: str
    queue: str
    timing: Timing
    policy: Policy
    parameter: str | None
    is_declared: bool
    revision: int
    decided_at: datetime
    next_at: datetime | None
    last_at: datetime | None
    paused_at: datetime | None
    note: str | None
    unfinished: tuple[ExecutionId, ...] = ()

    @property
    def state(self) -> str:
        """active, paused, or off: no longer declared by the code."""
        if not self.is_declared:
            return "off"
        return "paused" if self.paused_at else "active"

    @property
    def running(self) -> int:
        """How many of its executions have not ended (counted up to 100)."""
        return len(self.unfinished)


@dataclass(frozen=True, slots=True)
class DueSchedules:
    """Schedules about which something is to be decided at `now`; when the next one is, if there is one.

    `is_waiting`: some have a tick that waits for an execution to end (overlap "queue").
    """

    now: datetime
    due: Sequence[Schedule] = ()
    next_at: datetime | None = None
    is_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a poll has come: its own value, as JSON text, and who has brought it there; nothing before the first."""

    value: str | None = None
    moved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a schedule's ticks up to now: which start, what is cancelled for them, and what is next.

    `decided_at` is up to when everything has then been decided; the schedule is looked at again at `next_at`.
    """

    start: Sequence[Tick]
    cancel: Sequence[ExecutionId]
    decided_at: datetime
    next_at: datetime | None
    note: str | None


def decide(schedule: Schedule, now: datetime) -> Decision | None:
    """What the ticks up to now start. None: nothing can be decided before an execution ends (overlap "queue")."""
    due = _due(schedule, now)
    chosen = _chosen(due, schedule.policy, now)
    overlap = schedule.policy.overlap
    if not chosen:
        return _decision(schedule, now, [], note=_missed(due) or schedule.note)
    if overlap is Overlap.ALLOW:
        return _decision(schedule, now, chosen, note=_missed(due, chosen))
    if overlap is Overlap.QUEUE:
        return None if schedule.unfinished else _first_of(schedule, now, due, chosen)
    if overlap is Overlap.SKIP and schedule.unfinished:
        return _decision(schedule, now, [], note=f"skipped {_moment(chosen[-1])}: the execution before it still ran")
    return _decision(schedule, now, chosen[-1:], cancel=schedule.unfinished, note=_missed(due, chosen[-1:]))


def start_now(schedule: Schedule, now: datetime) -> Decision:
    """One execution at once, whatever else runs; the planned ticks stay as they are.

    Its tick is later than any before it, so that it has a key of its own.
    """
    at = now if schedule.last_at is None else max(now, schedule.last_at + timedelta(microseconds=1))
    return Decision(_ticks(schedule, [at]), (), schedule.decided_at, schedule.next_at, schedule.note)


def _due(schedule: Schedule, now: datetime) -> list[datetime]:
    """The ticks that are to be decided now: the latest ones, if there are very many."""
    limit = max(schedule.policy.max_catch_up, MOST_ON_TIME)
    return schedule.timing.latest(after=schedule.decided_at, until=now, limit=limit)


def _chosen(due: Sequence[datetime], policy: Policy, now: datetime) -> Sequence[datetime]:
    """Those that come in time, and of those that were missed what `catch_up` says."""
    on_time = [tick for tick in due if now - tick <= LATE]
    match policy.catch_up:
        case CatchUp.NONE:
            return on_time
        case CatchUp.LAST:
            return on_time or due[-1:]
        case CatchUp.ALL:
            return due[-max(policy.max_catch_up, len(on_time)) :]


def _first_of(schedule: Schedule, now: datetime, due: Sequence[datetime], chosen: Sequence[datetime]) -> Decision:
    """The first of a queue starts; the others are decided when it has ended."""
    waiting = len(chosen) > 1
    return Decision(
        start=_ticks(schedule, chosen[:1]),
        cancel=(),
        decided_at=chosen[0] if waiting else now,
        next_at=now if waiting else schedule.timing.next(now),
        note=_missed(due, chosen),
    )


def _decision(
    schedule: Schedule,
    now: datetime,
    start: Sequence[datetime],
    *,
    note: str | None,
    cancel: Sequence[ExecutionId] = (),
) -> Decision:
    return Decision(_ticks(schedule, start), cancel, decided_at=now, next_at=schedule.timing.next(now), note=note)


def _ticks(schedule: Schedule, times: Sequence[datetime]) -> list[Tick]:
    before = [schedule.last_at, *times]
    return [Tick(schedule.id, at, previous) for at, previous in zip(times, before, strict=False)]


def _missed(due: Sequence[datetime], chosen: Sequence[datetime] = ()) -> str | None:
    """In words, which of those due start nothing; they are the earliest."""
    missed = [tick for tick in due if not chosen or tick < chosen[0]]
    if not missed:
        return None
    return f"missed {_moment(missed[0])}" + (f" to {_moment(missed[-1])}" if len(missed) > 1 else "")


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def delay_of(tick: Tick, jitter: timedelta, now: datetime) -> timedelta:
    """How long its execution waits: a part of `jitter` that is the same whoever starts it; less when it is late."""
    digest = blake2b(tick.key.encode(), digest_size=8).digest()
    share = int.from_bytes(digest) / 2**64
    return max(tick.at + jitter * share - now, timedelta(0))
