"""The ASGI application: an App's API and webhooks, at the top of a server or mounted in somebody's own application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property

import msgspec
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from stepwell.app.application import App
from stepwell.app.settings import checked_public_url
from stepwell.core.tokens import Scope as TokenScope
from stepwell.server import consent
from stepwell.server.access import Access, Who
from stepwell.server.callbacks import callback_routes
from stepwell.server.consent import consent_route
from stepwell.server.endpoint import Endpoint, send_problem
from stepwell.server.intake import hook_routes
from stepwell.server.openapi import document
from stepwell.server.problems import Refusal
from stepwell.server.routes import Call, Route
from stepwell.server.surroundings import Surroundings
from stepwell.server.table import PREFIX, TABLE, by_path


class Application:
    """Serves an App. `stop` lets what waits or streams end, so that a server can.

    As a server's whole application it opens the App with it and closes it; mounted, it leaves that to who mounts it.
    """

    def __init__(self, app: App, *, public_url: str | None = None, who: Who | None = None) -> None:
        if public_url is not None:
            app.public_url = checked_public_url(public_url, where="public_url")
        callback = None if public_url is None else public_url.rstrip("/") + consent.PATH
        self._around = Surroundings(app, Access(app, public_url=public_url, who=who), callback)
        self._router = Router(routes=self._routes(), default=_nothing, lifespan=self._lifespan, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def stop(self) -> None:
        """The server is about to end."""
        self._around.stopping.set()

    def _routes(self) -> Sequence[BaseRoute]:
        table = (*TABLE, Route("GET", "/openapi.json", TokenScope.READ, self._describe))
        paths = [StarletteRoute(path, Endpoint(routes, self._around)) for path, routes in by_path(table).items()]
        return [
            *hook_routes(self._around.app),
            consent_route(self._around.app),
            *callback_routes(self._around.app),
            Mount(PREFIX, app=Router(routes=paths, default=_nothing, redirect_slashes=False)),
        ]

    async def _describe(self, call: Call) -> msgspec.Raw:  # noqa: ARG002
        """The OpenAPI document of this API."""
        return self._description

    @cached_property
    def _description(self) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(document(TABLE, prefix=PREFIX)))

    @asynccontextmanager
    async def _lifespan(self, application: object) -> AsyncIterator[None]:  # noqa: ARG002
        async with self._around.app:
            try:
                yield
            finally:
                self.stop()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    refusal = Refusal(404, "not-found", "nothing is served at this path; /api/v1/openapi.json lists what is")
    await send_problem(refusal, scope, send, request_id=Headers(scope=scope).get("x-request-id", "-")[:64])
