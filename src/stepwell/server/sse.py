"""Server-sent events (HTML Living Standard, "Server-sent events"): live views that go on where they were cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Send

from stepwell.server.answers import begin
from stepwell.server.presence import Presence

MEDIA_TYPE = "text/event-stream"
BEAT_SECONDS = 15.0  # proxies cut a connection on which nothing comes for half a minute or longer
LIFE_SECONDS = 900.0  # then the client connects again, and goes on: no stream outlives its token for long
RETRY_MILLISECONDS = 2_000

HEADERS = {"Content-Type": MEDIA_TYPE, "X-Accel-Buffering": "no"}  # a proxy must not keep back what is news


@dataclass(frozen=True, slots=True)
class Event:
    """One event. A client that connects again says the id of the last one that it has seen."""

    name: str
    data: Any
    id: str

    def encoded(self) -> bytes:
        """As it is sent. JSON has no line break, and neither has an id of ours."""
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (
            self.id.encode(),
            self.name.encode(),
            msgspec.json.encode(self.data),
        )


class Described(msgspec.Struct):
    """An event of a stream as a client sees it: `data` is JSON text."""

    id: str
    event: str
    data: str


class Stream:
    """An answer that goes on: events as they come, and a sign of life when none does."""

    def __init__(self, events: AsyncIterator[Event], presence: Presence, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._events, self._presence, self._beat_seconds = events, presence, beat_seconds

    async def send(self, send: Send, headers: Mapping[str, str]) -> None:
        """Until the events end, the client leaves, the server stops, or the stream has lived its life."""
        await begin(send, 200, {**headers, **HEADERS})
        await self._presence.during(self._send_events(send))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        await _part(send, b"retry: %d\n\n" % RETRY_MILLISECONDS)
        coming: asyncio.Task[Event | None] | None = None
        try:
            async with asyncio.timeout(LIFE_SECONDS) as life:
                while True:
                    coming = coming or asyncio.create_task(_next(self._events), name="stepwell-sse")
                    await asyncio.wait({coming}, timeout=self._beat_seconds)
                    if not coming.done():
                        await _part(send, b": beat\n\n")
                        continue
                    event, coming = coming.result(), None
                    if event is None:
                        return
                    await _part(send, event.encoded())
        except TimeoutError:
            if not life.expired():
                raise
        finally:
            await _leave(coming, self._events)


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _leave(coming: asyncio.Task[Event | None] | None, events: AsyncIterator[Event]) -> None:
    if coming is not None:
        coming.cancel()
        await asyncio.wait({coming})
    await events.aclose()  # type: ignore[attr-defined]  # every one is a generator


async def _part(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
