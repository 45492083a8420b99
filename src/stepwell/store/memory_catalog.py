"""What is declared, as plain dicts: the executable specification of `Catalog`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Protocol

from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.schedule import OFF_NOTE, Cursor, Decision, DueSchedules, Overlap, Schedule, ScheduleSpec

MOST_UNFINISHED = 100  # shown of one schedule


class Executions(Protocol):
    """What a catalog needs of the store that keeps the executions."""

    def accept(self, new: Sequence[NewExecution]) -> object:
        """Accept executions; a key that is taken leaves the earlier one alone."""

    def unfinished_of(self, schedule_id: str) -> list[ExecutionId]:
        """The schedule's executions that have not ended, the earliest first."""


class MemoryCatalog:
    """Keeps the Catalog protocol."""

    def __init__(
        self, executions: Executions, *, lock: RLock, now: Callable[[], datetime], hint: Callable[[str], None]
    ) -> None:
        self._executions, self._lock, self._now, self._hint = executions, lock, now, hint
        self._schedules: dict[str, Schedule] = {}
        self._cursors: dict[str, Cursor] = {}

    async def apply_schedules(self, declared: Sequence[ScheduleSpec], *, workflows: Sequence[str]) -> None:
        with self._lock:
            specs = {spec.id: spec for spec in declared}
            off = [one for one in self._schedules.values() if one.workflow in workflows and one.id not in specs]
            changed = [self._put(spec) for spec in specs.values()] + [self._switch_off(one) for one in off]
            if any(changed):
                self._hint("schedule")

    def _put(self, spec: ScheduleSpec) -> bool:
        now, before = self._now(), self._schedules.get(spec.id)
        facts = (spec.workflow, spec.queue, spec.timing, spec.policy, spec.parameter, True)
        if before is None:
            self._schedules[spec.id] = Schedule(spec.id, *facts, 0, now, now, None, None, None)
            return True
        if facts == (before.workflow, before.queue, before.timing, before.policy, before.parameter, before.is_declared):
            return False
        is_same_time = before.is_declared and before.timing == spec.timing
        self._schedules[spec.id] = Schedule(
            spec.id,
            *facts,
            revision=before.revision + 1,
            decided_at=before.decided_at if is_same_time else max(before.decided_at, now),
            next_at=now if before.paused_at is None else None,
            last_at=before.last_at,
            paused_at=before.paused_at,
            note=before.note if before.is_declared else None,
        )
        return True

    def _switch_off(self, one: Schedule) -> bool:
        if one.is_declared:
            self._change(one, is_declared=False, next_at=None, note=OFF_NOTE)
        return one.is_declared

    async def due_schedules(self, workflows: Sequence[str]) -> DueSchedules:
        with self._lock:
            now = self._now()
            planned = [
                (one.next_at, self._shown(one))
                for one in self._schedules.values()
                if one.next_at is not None and one.workflow in workflows
            ]
            due = sorted(((at, one) for at, one in planned if at <= now), key=lambda pair: pair[0])
            waiting = [one for _, one in due if one.policy.overlap is Overlap.QUEUE and one.unfinished]
            next_at = min((at for at, _ in planned if at > now), default=None)
            return DueSchedules(now, [one for _, one in due if one not in waiting], next_at, bool(waiting))

    async def fire(self, schedule: Schedule, decision: Decision, new: Sequence[NewExecution]) -> bool:
        with self._lock:
            known = self._schedules.get(schedule.id)
            if known is None or known.revision != schedule.revision:
                return False
            self._change(
                known,
                decided_at=decision.decided_at,
                next_at=decision.next_at,
                last_at=decision.start[-1].at if decision.start else known.last_at,
                note=decision.note,
            )
            self._executions.accept(
                [one._replace(schedule=known.id, workflow=known.workflow, queue=known.queue) for one in new]
            )
            return True

    async def schedules(self) -> Sequence[Schedule]:
        with self._lock:
            return [self._shown(self._schedules[id]) for id in sorted(self._schedules)]

    async def schedule(self, schedule_id: str) -> tuple[datetime, Schedule] | None:
        with self._lock:
            known = self._schedules.get(schedule_id)
            return (self._now(), self._shown(known)) if known else None

    async def cursor(self, schedule_id: str) -> Cursor:
        with self._lock:
            return self._cursors.get(schedule_id, Cursor())

    async def advance(self, schedule_id: str, cursor: Cursor, *, since: Cursor, new: Sequence[NewExecution]) -> bool:
        with self._lock:
            known = self._cursors.get(schedule_id, Cursor())
            if schedule_id not in self._schedules or known.moved_by != since.moved_by:
                return False
            self._cursors[schedule_id] = cursor
            self._executions.accept(new)
            return True

    async def pause_schedule(self, schedule_id: str, *, reason: str) -> bool:
        with self._lock:
            known = self._schedules.get(schedule_id)
            if known is None:
                return False
            note = reason if known.paused_at is None else known.note
            self._change(known, paused_at=known.paused_at or self._now(), next_at=None, note=note)
            return True

    async def resume_schedule(self, schedule_id: str) -> bool:
        with self._lock:
            known = self._schedules.get(schedule_id)
            if known is None:
                return False
            if known.paused_at is None:
                self._change(known, next_at=(known.next_at or self._now()) if known.is_declared else None)
            else:
                self._resume(known, self._now())
            self._hint("schedule")
            return True

    def _resume(self, one: Schedule, now: datetime) -> None:
        next_at, note = (now, None) if one.is_declared else (None, OFF_NOTE)
        self._change(one, paused_at=None, decided_at=max(one.decided_at, now), next_at=next_at, note=note)

    def _change(self, one: Schedule, **changes: object) -> None:
        self._schedules[one.id] = replace(one, revision=one.revision + 1, **changes)  # type: ignore[arg-type]

    def _shown(self, one: Schedule) -> Schedule:
        return replace(one, unfinished=tuple(self._executions.unfinished_of(one.id)[:MOST_UNFINISHED]))
