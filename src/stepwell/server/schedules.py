"""Routes: what starts executions by itself."""

from __future__ import annotations

from uuid import UUID

import msgspec

from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownSchedule
from stepwell.server import documents
from stepwell.server.fields import Text
from stepwell.server.routes import Answer, Call, Route


class Schedules(msgspec.Struct):
    """Schedules by their ids."""

    schedules: list[documents.Schedule]


async def list_schedules(call: Call) -> Schedules:
    """List schedules: when each starts an execution next, and why not."""
    return Schedules([documents.schedule(one) for one in await call.app.schedules()])


class PauseSchedule(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text = "paused"


async def pause_schedule(call: Call, schedule: Text, body: PauseSchedule = PauseSchedule()) -> documents.Schedule:  # noqa: B008
    """Let a schedule start nothing until it is resumed; what runs goes on."""
    return documents.schedule(await call.app.pause_schedule(schedule, reason=body.reason))


async def resume_schedule(call: Call, schedule: Text) -> documents.Schedule:
    """Let a paused schedule go on with its next tick; those of the pause are not made up."""
    return documents.schedule(await call.app.resume_schedule(schedule))


class Ran(msgspec.Struct):
    """The execution that was started."""

    id: UUID
    schedule: str


async def run_schedule(call: Call, schedule: Text) -> Answer[Ran]:
    """Start an execution of a schedule now, whatever else of it runs."""
    handle = await call.app.run_schedule(schedule)
    return Answer(Ran(handle.id, schedule))


class Triggers(msgspec.Struct):
    """Triggers by their ids."""

    triggers: list[documents.Trigger]


async def list_triggers(call: Call) -> Triggers:
    """List what events start."""
    return Triggers([documents.trigger(one) for one in await call.app.triggers()])


_KNOWN = (InvalidOption, UnknownSchedule)

ROUTES = (
    Route("GET", "/schedules", Scope.READ, list_schedules),
    Route("POST", "/schedules/{schedule}/pause", Scope.OPERATE, pause_schedule, errors=_KNOWN),
    Route("POST", "/schedules/{schedule}/resume", Scope.OPERATE, resume_schedule, errors=_KNOWN),
    Route("POST", "/schedules/{schedule}/run", Scope.OPERATE, run_schedule, statuses=(201,), errors=_KNOWN),
    Route("GET", "/triggers", Scope.READ, list_triggers),
)
