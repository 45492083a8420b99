"""Starts what the clock starts: looks when a tick is due, decides, and writes the decision."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from stepwell.codec import Codec, codec_for
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.schedule import Decision, DueSchedules, Schedule, Tick, decide, delay_of, start_now
from stepwell.errors import InvalidOption, NotAllowed, UnknownSchedule
from stepwell.failpoints import failpoint
from stepwell.store.base import Backend
from stepwell.store.identity import new_id

log = logging.getLogger("stepwell.schedule")

LOOK_EVERY = timedelta(seconds=15)  # without a hint: four statements a minute
QUEUE_POLL = timedelta(seconds=1)  # how soon the next of a queue starts, when the one before ended on another worker
MOST_TRIES = 10  # to start one by hand while others change the schedule


class Scheduler:
    """Decides about the ticks of some workflows' schedules. Any number of them may: each tick is decided once."""

    def __init__(self, store: Backend, workflows: Sequence[str]) -> None:
        self._store, self._workflows = store, workflows
        self._look_at: datetime | None = None
        self._has_changed = False
        self._is_waiting = False

    def hear(self, hint: str) -> bool:
        """Whether the hint is for us: then we look at once."""
        if hint == "schedule":
            self._look_soon()
        return hint == "schedule"

    def hear_of_an_end(self) -> bool:
        """Whether a tick may wait for the execution that has just ended: then it is looked at at once."""
        if self._is_waiting:
            self._look_soon()
        return self._is_waiting

    def _look_soon(self) -> None:
        """Look at once, and once more if a look is under way."""
        self._look_at, self._has_changed = None, True

    async def tick(self) -> timedelta:
        """Decide about what is due; how long nothing else will be."""
        if self._look_at is not None and (left := self._look_at - self._store.now()) > timedelta(0):
            return left
        self._look_at, self._has_changed = None, False
        answer = await self._store.catalog.due_schedules(self._workflows)
        nexts = [await self._decide(schedule, answer.now) for schedule in answer.due]
        self._is_waiting = answer.is_waiting
        if self._has_changed:
            return timedelta(0)
        self._look_at = _next_look(answer, nexts)
        return max(self._look_at - self._store.now(), timedelta(0))

    async def _decide(self, schedule: Schedule, now: datetime) -> datetime | None:
        """When the schedule is to be looked at next. None: somebody else has decided, ask."""
        try:
            decision = decide(schedule, now)
        except InvalidOption as error:
            log.error("schedule '%s' cannot be read here, others may: %s", schedule.id, error)
            return now + LOOK_EVERY
        if decision is None:
            return now + QUEUE_POLL
        for execution_id in decision.cancel:
            await self._store.cancel(execution_id, reason=f"replaced by the next tick of schedule '{schedule.id}'")
        failpoint("in_schedule_tick")
        if not await self._store.catalog.fire(schedule, decision, _executions(schedule, decision, now)):
            return None
        _tell(schedule, decision)
        return decision.next_at


def _next_look(answer: DueSchedules, nexts: Sequence[datetime | None]) -> datetime:
    longest = QUEUE_POLL if answer.is_waiting else LOOK_EVERY
    known = [at or answer.now for at in nexts] + ([answer.next_at] if answer.next_at else [])
    return min([answer.now + longest, *known])


def _executions(schedule: Schedule, decision: Decision, now: datetime) -> list[NewExecution]:
    return [
        NewExecution(
            id=ExecutionId(new_id()),
            workflow=schedule.workflow,
            input=_input(schedule, tick),
            queue=schedule.queue,
            key=tick.key,
            delay_seconds=delay_of(tick, schedule.policy.jitter, now).total_seconds(),
        )
        for tick in decision.start
    ]


def _input(schedule: Schedule, tick: Tick) -> bytes:
    """The workflow's other parameters have defaults, which are filled in when it is read."""
    return _ticks().encode({schedule.parameter: tick} if schedule.parameter else {})[0]


@cache
def _ticks() -> Codec[dict[str, Tick]]:
    return codec_for(dict[str, Tick])


def _tell(schedule: Schedule, decision: Decision) -> None:
    if decision.note is not None and decision.note != schedule.note:
        log.warning("schedule '%s': %s", schedule.id, decision.note)


async def start_first(store: Backend, schedule_id: str) -> None:
    """Start an execution at once of a schedule that has never started any, unless it is paused; of many, one does."""
    found = await store.catalog.schedule(schedule_id)
    if found is None:
        return
    now, schedule = found
    if schedule.last_at is None and schedule.paused_at is None:
        decision = start_now(schedule, now)
        await store.catalog.fire(schedule, decision, _executions(schedule, decision, now))


async def start_one_now(store: Backend, schedule_id: str) -> ExecutionId:
    """Start an execution of the schedule at once, also of a paused one. Raises UnknownSchedule, NotAllowed."""
    for _ in range(MOST_TRIES):
        found = await store.catalog.schedule(schedule_id)
        if found is None:
            raise UnknownSchedule(schedule_id, [one.id for one in await store.catalog.schedules()])
        now, schedule = found
        decision = start_now(schedule, now)
        (new,) = _executions(schedule, decision, now)
        if await store.catalog.fire(schedule, decision, [new._replace(delay_seconds=0.0)]):
            return new.id
    raise NotAllowed(operation="start", execution_id=schedule_id, status="being changed by others all the time")
