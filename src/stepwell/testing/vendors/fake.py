"""What the fakes of vendors have in common: an ASGI application with switches, a ledger and a door for tests.

A test in the same process uses the object. Another process asks over HTTP, without credentials: `GET /_fake/ledger`
gives the effects, `POST /_fake/switches/{name}` with JSON arguments turns a switch.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from stepwell.testing.vendors.ledger import Ledger
from stepwell.testing.vendors.outgoing import Outbox
from stepwell.testing.vendors.switches import Drop, Fail, Limit, Slow, SlowedDown, Switches, Trouble


class FakeVendor:
    """A stateful fake of one vendor, in memory. Serve it with `stepwell.testing.served`, or as a process of its own.

    `tokens` are the credentials that it accepts, `asked` the requests that it was sent, `outgoing` the webhooks that it
    has to send.
    """

    name: ClassVar[str]

    def __init__(self, *, tokens: Sequence[str]) -> None:
        self.switches = Switches()
        self.ledger = Ledger()
        self.tokens = set(tokens)
        self.asked: list[str] = []
        self.outgoing = Outbox()
        door: list[BaseRoute] = [
            Route("/_fake/ledger", self._show_ledger),
            Route("/_fake/switches/{name}", self._turn_switch, methods=["POST"]),
        ]
        self._application = Starlette(routes=[*door, *self.routes()])

    def routes(self) -> list[BaseRoute]:
        """The vendor's own addresses."""
        raise NotImplementedError

    def refusal(self, trouble: Trouble) -> Response:
        """How this vendor says that something went wrong."""
        match trouble:
            case Limit(retry_after=retry_after):
                return JSONResponse({"message": "too many requests"}, 429, self.limits(retry_after))
            case Fail(status=status):
                return JSONResponse({"message": "something went wrong"}, status)
        raise NotImplementedError(f"{type(self).__name__} has no such switch: {trouble}")

    def limits(self, retry_after: str) -> dict[str, str]:
        """The headers of an answer that has to do with a limit."""
        return {"Retry-After": retry_after}

    def refused(self, request: Request) -> Response | None:
        """The answer to a request without good credentials; None if they are good."""
        raise NotImplementedError

    def expire_tokens(self) -> None:
        """Refuse every token that was given so far."""
        self.tokens.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as the switches will have it."""
        if scope["type"] != "http" or scope["path"].startswith("/_fake/"):
            await self._application(scope, receive, send)
            return
        self.asked.append(f"{scope['method']} {scope['path']}")
        trouble = self.switches.take()
        if isinstance(trouble, Drop):
            await _hang_up(receive, send)
            return
        more: dict[str, str] = {}
        match trouble:
            case None:
                refused = self.refused(Request(scope))
            case Slow(seconds=seconds):
                await asyncio.sleep(seconds)
                refused = self.refused(Request(scope))
            case SlowedDown(retry_after=retry_after):
                more, refused = self.limits(retry_after), self.refused(Request(scope))
            case _:
                refused = self.refusal(trouble)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._answer(scope, receive, send, more)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, more: dict[str, str]) -> None:
        """Do the work, and only then say so; `more` are headers of the answer."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(more)
            held.append(message)

        with self.ledger.request() as effects:
            await self._application(scope, receive, hold)
        if effects and self.switches.takes_drop():
            await _hang_up(receive, send)
            return
        for message in held:
            await send(message)

    async def _show_ledger(self, _: Request) -> Response:
        return JSONResponse({"effects": [{"what": one.what, "id": one.id} for one in self.ledger.effects]})

    async def _turn_switch(self, request: Request) -> Response:
        name, arguments = request.path_params["name"], json.loads(await request.body() or b"{}")
        if name == "expire_tokens":
            self.expire_tokens()
        elif name in SWITCHES:
            getattr(self.switches, name)(**arguments)
        else:
            return JSONResponse({"message": f"no switch {name}; there are {', '.join(SWITCHES)}"}, 404)
        return Response(status_code=204)


SWITCHES = (
    "limit",
    "fail",
    "drop",
    "drop_after_commit",
    "sign_in_page",
    "throttle",
    "slow",
    "slow_down",
    "clear",
    "expire_tokens",
)


async def _hang_up(receive: Receive, send: Send) -> None:
    """End the connection without an answer. ASGI has no word for that: the server's own socket is asked for.

    Raises RuntimeError on a server that is not uvicorn.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("answers are dropped by uvicorn only; serve the fake with it")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue


async def body_of(request: Request) -> Any:
    """The JSON that was sent; None for none, or for none that can be read."""
    with suppress(ValueError):
        return json.loads(await request.body())
    return None
