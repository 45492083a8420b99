"""The fake's tokens for apps: they live an hour, and their refresh tokens work once.

Source: shopify.dev/docs/apps/build/authentication-authorization/access-tokens.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stepwell.testing.vendors.shopify.bulk import Bulk
from stepwell.testing.vendors.shopify.records import Json

TOKEN_SECONDS, REFRESH_SECONDS = 3_600, 90 * 86_400


@dataclass
class Refresh:
    """A refresh token. It works until the access token that it has brought is used for the first time."""

    brought: str | None = None
    is_spent: bool = False


class Tokens(Bulk):
    """The token endpoint for the app with that `client_id`; its `client_secret` is what deliveries are signed with."""

    def __init__(self, *, client_id: str = "client-1", **options: Any) -> None:
        super().__init__(**options)
        self.client_id = client_id
        self._codes: set[str] = set()
        self._refreshes: dict[str, Refresh] = {}

    def allow(self) -> str:
        """A merchant lets the app in: the code that the browser brings back, which works once."""
        code = secrets.token_hex(16)
        self._codes.add(code)
        return code

    def refused(self, request: Request) -> Response | None:
        """Credentials are checked as everywhere, but where they are given out."""
        if request.url.path == "/admin/oauth/access_token":
            return None
        used = request.headers.get("x-shopify-access-token")
        for refresh in self._refreshes.values():
            refresh.is_spent = refresh.is_spent or (used is not None and refresh.brought == used)
        return super().refused(request)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return _refusal("invalid_client", "the app's id or secret is wrong")
        match form.get("grant_type"):
            case "refresh_token":
                return self._refreshed(form.get("refresh_token", ""))
            case "client_credentials":
                return JSONResponse({**self._new_token(), "scope": "read_orders", "expires_in": 86_399})
            case _ if form.get("code") in self._codes:
                self._codes.remove(form["code"])
                return JSONResponse(self._pair() if form.get("expiring") == "1" else self._new_token())
        return _refusal("invalid_request", "the code was not found or has been used")

    def _refreshed(self, token: str) -> Response:
        refresh = self._refreshes.get(token)
        if refresh is None or refresh.is_spent:
            return _refusal("invalid_grant", "the refresh token was not found, has expired or has been used")
        if refresh.brought is not None:
            self.tokens.discard(refresh.brought)
        pair = self._pair()
        refresh.brought = pair["access_token"]
        self.ledger.record("token refreshed", pair["access_token"])
        return JSONResponse(pair)

    def _new_token(self) -> Json:
        token = f"shpat_{secrets.token_hex(16)}"
        self.tokens.add(token)
        return {"access_token": token, "scope": "read_orders"}

    def _pair(self) -> Json:
        refresh = f"shprt_{secrets.token_hex(16)}"
        self._refreshes[refresh] = Refresh()
        return {
            **self._new_token(),
            "expires_in": TOKEN_SECONDS,
            "refresh_token": refresh,
            "refresh_token_expires_in": REFRESH_SECONDS,
        }


def _refusal(error: str, told: str) -> Response:
    return JSONResponse({"error": error, "error_description": told}, 400)
