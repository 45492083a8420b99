"""What the fakes of vendors have in common: an ASGI application with switches, a ledger and a door for tests.

A test in the same process uses the object. Another process asks over HTTP, without credentials: `GET /_fake/ledger`
gives the effects, `POST /_fake/switches/{name}` with JSON arguments turns a switch, of its webhooks too.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwell.testing.vendors.ledger import Ledger
from stepwell.testing.vendors.outgoing import Outbox
from stepwell.testing.vendors.switches import Drop, Fail, Limit, Slow, SlowedDown, Switches, Trouble


class FakeVendor(ABC):
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

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The vendor's own addresses."""

    def refusal(self, trouble: Trouble) -> Response:
        """How this vendor says that something went wrong."""
        match trouble:
            case Limit(retry_after=retry_after):
                return JSONResponse({"message": "too many requests"}, 429, self.limits(retry_after))
            case Fail(status=status):
                return JSONResponse({"message": "something went wrong"}, status)
        return JSONResponse({"message": f"{type(self).__name__} has no such switch: {trouble}"}, 501)

    def limits(self, retry_after: str) -> dict[str, str]:
        """The headers of an answer that has to do with a limit."""
        return {"Retry-After": retry_after}

    @abstractmethod
    def refused(self, request: Request) -> Response | None:
        """The answer to a request without good credentials; None if they are good."""

    def expire_tokens(self) -> None:
        """Refuse every token that was given so far."""
        self.tokens.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as the switches will have it."""
        if scope["type"] != "http" or scope["path"].startswith("/_fake/"):
            await self._application(scope, receive, send)
            return
        self.asked.append(f"{scope['method']} {scope['path']}")
        match trouble := self.switches.take():
            case Drop():
                await _hang_up(receive, send)
            case None | Slow() | SlowedDown():
                answering = self.refused(Request(scope)) or self._application
                await self._answer(answering, scope, receive, send, trouble)
            case _:
                await self.refusal(trouble)(scope, receive, send)

    async def _answer(
        self, answering: ASGIApp, scope: Scope, receive: Receive, send: Send, trouble: Slow | SlowedDown | None
    ) -> None:
        """Do the work, and only then say so."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if isinstance(trouble, SlowedDown) and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.limits(trouble.retry_after))
            held.append(message)

        with self.ledger.request() as effects:
            await answering(scope, receive, hold)
        if effects and self.switches.takes_drop():
            await _hang_up(receive, send)
            return
        if isinstance(trouble, Slow):
            await asyncio.sleep(trouble.seconds)
        for message in held:
            await send(message)

    async def _show_ledger(self, _: Request) -> Response:
        return JSONResponse({"effects": [{"what": one.what, "id": one.id} for one in self.ledger.effects]})

    async def _turn_switch(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            arguments = json.loads(await request.body() or b"{}")
            for turn in self._switch(name):
                turn(**arguments)
        except LookupError as error:
            return JSONResponse({"message": str(error.args[0])}, 404)
        except (TypeError, ValueError) as error:
            return JSONResponse({"message": f"{name}: {error}"}, 400)
        return Response(status_code=204)

    def _switch(self, name: str) -> Sequence[Callable[..., None]]:
        """What turns it. Raises LookupError, ValueError when there is nobody whose switch it is."""
        if name in SWITCHES:
            return [getattr(self.switches, name)]
        if name == "expire_tokens":
            return [self.expire_tokens]
        if name not in OF_SENDERS:
            raise LookupError(f"no switch {name}; there are {', '.join((*SWITCHES, 'expire_tokens', *OF_SENDERS))}")
        if not self.outgoing.senders:
            raise ValueError("nothing sends these webhooks")
        return [getattr(sender, name) for sender in self.outgoing.senders]


SWITCHES = ("limit", "fail", "drop", "drop_after_commit", "sign_in_page", "throttle", "slow", "slow_down", "clear")
OF_SENDERS = ("duplicate", "reorder", "lose")


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
