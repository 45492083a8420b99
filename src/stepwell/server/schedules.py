"""Routes: what starts executions by itself."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from stepwell.core import schedule as core
from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownSchedule
from stepwell.server.documents import Text
from stepwell.server.routes import Answer, Call, Route


class Schedule(msgspec.Struct):
    """A schedule: `state` is active, paused, or off when the code no longer declares it."""

    id: str
    workflow: str
    queue: str
    state: str
    times: str
    catch_up: str
    max_catch_up: int
    overlap: str
    jitter_seconds: float
    next_at: datetime | None
    last_at: datetime | None
    paused_at: datetime | None
    running: int
    why: str | None


class Schedules(msgspec.Struct):
    """Schedules by their ids."""

    schedules: list[Schedule]


async def list_schedules(call: Call) -> Schedules:
    """List schedules: when each starts an execution next, and why not."""
    return Schedules([_schedule(one) for one in await call.app.schedules()])


class PauseSchedule(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text = "paused"


async def pause_schedule(call: Call, schedule: Text, body: PauseSchedule = PauseSchedule()) -> Schedule:  # noqa: B008
    """Let a schedule start nothing until it is resumed; what runs goes on."""
    return _schedule(await call.app.pause_schedule(schedule, reason=body.reason))


async def resume_schedule(call: Call, schedule: Text) -> Schedule:
    """Let a paused schedule go on with its next tick; those of the pause are not made up."""
    return _schedule(await call.app.resume_schedule(schedule))


class Ran(msgspec.Struct):
    """The execution that was started."""

    id: UUID
    schedule: str


async def run_schedule(call: Call, schedule: Text) -> Answer[Ran]:
    """Start an execution of a schedule now, whatever else of it runs."""
    handle = await call.app.run_schedule(schedule)
    return Answer(Ran(handle.id, schedule))


class Trigger(msgspec.Struct):
    """A trigger by events. `waiting` events are not decided yet; `error` is what its code raised about the latest."""

    id: str
    workflow: str
    pattern: str
    is_declared: bool
    waiting: int
    error: str | None


class Triggers(msgspec.Struct):
    """Triggers by their ids."""

    triggers: list[Trigger]


async def list_triggers(call: Call) -> Triggers:
    """List what events start."""
    found = await call.app.triggers()
    return Triggers([Trigger(*(getattr(one, name) for name in Trigger.__struct_fields__)) for one in found])


def _schedule(one: core.Schedule) -> Schedule:
    return Schedule(
        id=one.id,
        workflow=one.workflow,
        queue=one.queue,
        state=one.state,
        times=str(one.timing),
        catch_up=one.policy.catch_up,
        max_catch_up=one.policy.max_catch_up,
        overlap=one.policy.overlap,
        jitter_seconds=one.policy.jitter.total_seconds(),
        next_at=one.next_at,
        last_at=one.last_at,
        paused_at=one.paused_at,
        running=one.running,
        why=one.note,
    )


_KNOWN = (InvalidOption, UnknownSchedule)

ROUTES = (
    Route("GET", "/schedules", Scope.READ, list_schedules),
    Route("POST", "/schedules/{schedule}/pause", Scope.OPERATE, pause_schedule, errors=_KNOWN),
    Route("POST", "/schedules/{schedule}/resume", Scope.OPERATE, resume_schedule, errors=_KNOWN),
    Route("POST", "/schedules/{schedule}/run", Scope.OPERATE, run_schedule, statuses=(201,), errors=_KNOWN),
    Route("GET", "/triggers", Scope.READ, list_triggers),
)
