"""Routes: live views, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from stepwell.app.application import App
from stepwell.app.follow import Counted, Ended, Stepped, Waits, follow
from stepwell.core.model import ExecutionId
from stepwell.core.tokens import Scope
from stepwell.errors import DatabaseUnavailable, InvalidOption, UnknownExecution
from stepwell.server import documents, sse
from stepwell.server.fields import Which
from stepwell.server.queries import given
from stepwell.server.routes import Answer, Call, Header, Route
from stepwell.server.sse import Event, Stream

OVERLAP = timedelta(seconds=10)  # what was stored at the same moment may show later: rather twice than never
FEED_SIZE = 100  # executions that a feed keeps in view
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 4.0  # seconds between two looks of a feed; it doubles while nothing comes
ENDED = "ended"

LAST_EVENT_ID = Header("Last-Event-ID", "The id of the last event that was seen; the stream goes on after it.")


class Waiting(msgspec.Struct):
    """It does not move, and why."""

    why: str


class MapProgress(msgspec.Struct):
    """A map has stored so many items."""

    map: str
    items: int


# --- one execution ------------------------------------------------------------------------------------------------


async def follow_execution(call: Call, execution_id: UUID) -> Stream | Answer[None]:
    """Follow an execution: `step`, `items` and `waits` as they come, then `ended`, and the stream is over.

    Connected again with the id of the last event, it goes on there; an event may come twice, none is left out.
    """
    execution = await call.app.get(execution_id)
    last = call.headers.get(LAST_EVENT_ID.name, "")
    if last == ENDED and execution.status.is_final:
        return Answer(None, status=204)  # by which a browser knows that it is not to connect again
    return Stream(_news(call.app, execution.id, since=_moment(last)), call.presence)


async def _news(app: App, execution_id: ExecutionId, *, since: datetime | None) -> AsyncIterator[Event]:
    last = "" if since is None else since.isoformat()
    async for news in follow(await app.open(), execution_id):
        match news:
            case Stepped(record):
                if since is None or record.recorded_at >= since - OVERLAP:
                    last = max(last, record.recorded_at.isoformat())
                    yield Event("step", documents.step(record), last)
            case Counted(map=name, items=items):
                yield Event("items", MapProgress(name, items), last)
            case Waits(why):
                yield Event("waits", Waiting(why), last)
            case Ended(execution):
                yield Event("ended", documents.ending(execution), ENDED)


def _moment(last: str) -> datetime | None:
    """The time in the id of an event; an id that is none of ours begins from the first."""
    try:
        at = datetime.fromisoformat(last)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


# --- all that a filter means --------------------------------------------------------------------------------------


class Feed(Which, kw_only=True):
    pass


async def follow_executions(call: Call, query: Feed) -> Stream:
    """Follow the newest 100 executions that a filter means: `execution` for each that is new or has changed.

    It begins with those there are; connected again it does so anew.
    """
    which = given(query)
    newest = await call.app.list(limit=FEED_SIZE, **which)
    return Stream(_changes(call.app, which, newest), call.presence)


async def _changes(app: App, which: Mapping[str, Any], found: Any) -> AsyncIterator[Event]:
    shown: dict[UUID, documents.Execution] = {}
    pause, number = SHORTEST_PAUSE, 0
    while True:
        now = {one.id: documents.execution(one) for one in reversed(found)}
        news = [one for identity, one in now.items() if shown.get(identity) != one]
        for one in news:
            number += 1
            yield Event("execution", one, str(number))
        shown = now
        pause = SHORTEST_PAUSE if news else min(pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(pause)
        try:
            found = await app.list(limit=FEED_SIZE, **which)
        except DatabaseUnavailable:
            pause = LONGEST_PAUSE


ROUTES = (
    Route(
        "GET",
        "/executions/{execution_id}/events",
        Scope.READ,
        follow_execution,
        statuses=(200, 204),
        errors=(UnknownExecution,),
        headers=(LAST_EVENT_ID,),
        media_type=sse.MEDIA_TYPE,
    ),
    Route(
        "GET", "/executions/events", Scope.READ, follow_executions, errors=(InvalidOption,), media_type=sse.MEDIA_TYPE
    ),
)
