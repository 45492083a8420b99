"""What is declared, on PostgreSQL: schedules. See `Catalog`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.schedule import CatchUp, Cursor, Decision, DueSchedules, Overlap, Policy, Schedule, ScheduleSpec
from stepwell.core.timing import Cron, Every, Timing
from stepwell.store import binary
from stepwell.store.wire import Rows


class Run(Protocol):
    """Runs a statement of `sql/` and answers its rows. See PostgresStore."""

    async def __call__(self, name: str, *parameters: bytes | None) -> Rows: ...


class Observe(Protocol):
    """Is told the store's time, and when by this process's clock the question was asked. See PostgresStore."""

    def __call__(self, now: datetime, *, asked_at: float) -> None: ...


class PostgresCatalog:
    """Keeps the Catalog protocol."""

    def __init__(self, run: Run, observe: Observe) -> None:
        self._run, self._observe = run, observe

    async def apply_schedules(self, declared: Sequence[ScheduleSpec], *, workflows: Sequence[str]) -> None:
        await self._run("apply_schedules", *_declared_parameters(declared), binary.texts(workflows))

    async def due_schedules(self, workflows: Sequence[str]) -> DueSchedules:
        asked_at = time.monotonic()
        found = await self._run("due_schedules", binary.texts(workflows))
        now, next_at, is_waiting = found[0][:3]
        self._observe(now, asked_at=asked_at)
        return DueSchedules(now, [_schedule(row[3:]) for row in found if row[3] is not None], next_at, is_waiting)

    async def fire(self, schedule: Schedule, decision: Decision, new: Sequence[NewExecution]) -> bool:
        found = await self._run(
            "fire",
            schedule.id.encode(),
            binary.int8(schedule.revision),
            binary.timestamptz(decision.decided_at),
            binary.maybe_timestamptz(decision.next_at),
            binary.maybe_timestamptz(decision.start[-1].at if decision.start else None),
            binary.maybe_text(decision.note),
            binary.uuids([one.id for one in new]),
            binary.texts([one.key for one in new]),
            binary.byteas([one.input for one in new]),
            binary.float8s([one.delay_seconds for one in new]),
        )
        return bool(found[0][0])

    async def schedules(self) -> Sequence[Schedule]:
        return [_schedule(row[1:]) for row in await self._run("schedules", None)]

    async def schedule(self, schedule_id: str) -> tuple[datetime, Schedule] | None:
        found = await self._run("schedules", schedule_id.encode())
        return (found[0][0], _schedule(found[0][1:])) if found else None

    async def cursor(self, schedule_id: str) -> Cursor:
        found = await self._run("cursor", schedule_id.encode())
        return Cursor(*found[0]) if found else Cursor()

    async def advance(self, schedule_id: str, cursor: Cursor, *, since: Cursor, new: Sequence[NewExecution]) -> bool:
        found = await self._run(
            "advance",
            schedule_id.encode(),
            binary.maybe_text(since.moved_by),
            binary.maybe_text(cursor.moved_by),
            binary.maybe_text(cursor.value),
            binary.uuids([one.id for one in new]),
            binary.texts([one.workflow for one in new]),
            binary.texts([one.queue for one in new]),
            binary.texts([one.key for one in new]),
            binary.byteas([one.input for one in new]),
        )
        return bool(found[0][0])

    async def pause_schedule(self, schedule_id: str, *, reason: str) -> bool:
        return bool(await self._run("pause_schedule", schedule_id.encode(), reason.encode()))

    async def resume_schedule(self, schedule_id: str) -> bool:
        return bool(await self._run("resume_schedule", schedule_id.encode()))


def _declared_parameters(declared: Sequence[ScheduleSpec]) -> list[bytes]:
    """For `apply_schedules.sql`, without its last parameter (the workflows)."""
    timings = [_timing_columns(spec.timing) for spec in declared]
    return [
        binary.texts([spec.id for spec in declared]),
        binary.texts([spec.workflow for spec in declared]),
        binary.texts([spec.queue for spec in declared]),
        binary.texts([spec.parameter for spec in declared]),
        binary.float8s([seconds for seconds, _, _ in timings]),
        binary.texts([cron for _, cron, _ in timings]),
        binary.texts([zone for _, _, zone in timings]),
        binary.texts([spec.policy.catch_up for spec in declared]),
        binary.int4s([spec.policy.max_catch_up for spec in declared]),
        binary.texts([spec.policy.overlap for spec in declared]),
        binary.float8s([spec.policy.jitter.total_seconds() for spec in declared]),
    ]


def _timing_columns(timing: Timing) -> tuple[float, str | None, str | None]:
    """(every_seconds, cron, zone); no seconds stand for none."""
    match timing:
        case Every(interval):
            return interval.total_seconds(), None, None
        case Cron(expression, zone):
            return 0.0, expression, zone


def _schedule(row: Sequence[Any]) -> Schedule:
    """A row of `schedules.sql` or `due_schedules.sql`."""
    identity, workflow, queue, parameter, seconds, cron, zone, catch_up, max_catch_up, overlap, jitter, *state = row
    is_declared, revision, decided_at, next_at, last_at, paused_at, note, unfinished = state
    return Schedule(
        id=identity,
        workflow=workflow,
        queue=queue,
        timing=Every(timedelta(seconds=seconds)) if cron is None else Cron(cron, zone),
        policy=Policy(CatchUp(catch_up), max_catch_up, Overlap(overlap), timedelta(seconds=jitter)),
        parameter=parameter,
        is_declared=is_declared,
        revision=revision,
        decided_at=decided_at,
        next_at=next_at,
        last_at=last_at,
        paused_at=paused_at,
        note=note,
        unfinished=tuple(map(ExecutionId, unfinished)),
    )
