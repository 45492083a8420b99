"""Finds out who makes a request: by their token, by the application that mounts the API, or because they are here."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope as ASGIScope

from stepwell.app.application import App
from stepwell.core.tokens import digest_of
from stepwell.server.guards import LOCAL, Actor, bearer_of, refuse_strangers, unauthorized

Who = Callable[[Any], "Actor | Awaitable[Actor | None] | None"]


class Access:
    """Says who makes a request. `who`, if given, is asked instead of looking for tokens."""

    def __init__(self, app: App, *, public_url: str | None = None, who: Who | None = None) -> None:
        self._app, self._public_url, self._who = app, public_url, who

    async def actor(self, scope: ASGIScope, headers: Headers) -> Actor:
        """Raises Refusal, DatabaseError."""
        return await (self._by_token(scope, headers) if self._who is None else self._by_application(scope))

    async def _by_application(self, scope: ASGIScope) -> Actor:
        assert self._who is not None
        found = self._who(scope)
        actor = await found if inspect.isawaitable(found) else found
        if actor is None:
            raise unauthorized("sign in first")
        return actor

    async def _by_token(self, scope: ASGIScope, headers: Headers) -> Actor:
        secret = bearer_of(headers)
        store = (await self._app.open()).store
        has_tokens, token = await store.tokens.identify(None if secret is None else digest_of(secret))
        if token is not None:
            return Actor(token.name, token.scope)
        if secret is not None:
            raise unauthorized("this token is unknown, has expired or was revoked")
        if has_tokens:
            raise unauthorized("send a token as `Authorization: Bearer ...`")
        client = scope.get("client")
        refuse_strangers(
            method=scope["method"],
            scheme=scope.get("scheme", "http"),
            client=client[0] if client else None,
            headers=headers,
            public_url=self._public_url,
        )
        return LOCAL
