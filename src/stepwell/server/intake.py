"""`/hooks/{source}` and `/hooks/{source}/{connection}`: the bytes of a request in, the answer of the receiver out.

It speaks ASGI itself: objects for request and response would cost as much as all that is decided about a delivery.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from stepwell.app.application import App
from stepwell.errors import DatabaseError
from stepwell.inbox.receiving import Receiver, Reply, refusal, unavailable
from stepwell.server.answers import send_whole
from stepwell.sources import SOURCES, Request

log = logging.getLogger("stepwell.intake")

READ_WITHIN = timedelta(seconds=10)  # a body that takes longer is given up; no vendor is that slow
MAX_HELD_BYTES = 256 * 1024 * 1024  # of all bodies that are being read or stored, so that no crowd fills the memory
METHODS = ("POST", "OPTIONS")

Header = tuple[bytes, bytes]


def hook_routes(app: App) -> Sequence[BaseRoute]:
    """The routes that take deliveries for an App, for a Starlette or FastAPI application. They need no token."""
    return routes_to(app.intake)


def routes_to(receiver: Callable[[], Awaitable[Receiver]]) -> Sequence[BaseRoute]:
    """The same for what answers the requests; it is asked for with each."""
    return [Route("/hooks/{address:path}", Intake(receiver))]


class TooLarge(Exception):
    """The body is longer than the source's limit."""


class NoRoom(Exception):
    """As much as may be held is held already."""


class Gone(Exception):
    """The sender has closed the connection."""


class Intake:
    """The ASGI endpoint of all addresses below `/hooks`."""

    def __init__(self, receiver: Callable[[], Awaitable[Receiver]]) -> None:
        self._receiver = receiver
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            reply = await self._reply(scope, receive, body)
        except Gone:
            return
        finally:
            self._held_bytes -= len(body)
        await send_whole(send, reply.status, reply.headers, reply.body)

    async def _reply(self, scope: Scope, receive: Receive, body: bytearray) -> Reply:
        source, _, connection = scope["path_params"]["address"].partition("/")
        headers = list(scope["headers"])
        if scope["method"] not in METHODS:
            return refusal(405, headers={"Allow": ", ".join(METHODS)})
        if source not in SOURCES or "/" in connection:
            return refusal(404)
        try:
            async with asyncio.timeout(READ_WITHIN.total_seconds()):
                await self._read(headers, receive, body, limit=SOURCES[source].max_body_bytes)
            receiver = await self._receiver()
        except TooLarge:
            return refusal(413, f"the limit of '{source}' is {SOURCES[source].max_body_bytes:,} bytes")
        except TimeoutError:
            return refusal(408)
        except (DatabaseError, NoRoom) as error:
            log.warning("a delivery of '%s' was not taken: %s", source, error)
            return unavailable()
        request = Request(scope["method"], headers, bytes(body), scope["query_string"])
        return await receiver.receive(source, connection or None, request)

    async def _read(self, headers: Sequence[Header], receive: Receive, body: bytearray, *, limit: int) -> None:
        """Fill `body`, all of which counts as held. Raises TooLarge, with no more than the limit read; NoRoom; Gone."""
        declared = next((value for name, value in headers if name == b"content-length"), b"")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise TooLarge
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk, has_more = message.get("body", b""), message.get("more_body", False)
            if len(body) + len(chunk) > limit:
                raise TooLarge
            if self._held_bytes + len(chunk) > MAX_HELD_BYTES:
                raise NoRoom(f"{MAX_HELD_BYTES:,} bytes of other deliveries are under way")
            body += chunk
            self._held_bytes += len(chunk)
