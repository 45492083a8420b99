"""A vendor with OAuth 2 whose refresh tokens work once, as a real server; also as a process of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CANARY = "canary-5d20"  # in every secret of the vendor's


@dataclass
class Vendor:
    """Gives tokens with numbers in them. A refresh token that comes a second time kills the grant, as RFC 9700 says.

    `life`: seconds that an access token lives; None: it is not said. `is_lenient`: the refresh token before the newest
    works as long as the newest access token was not used, as Shopify's does.
    """

    life: float | None = 3600
    is_lenient: bool = False
    is_rotating: bool = True
    status: int | None = None  # of the next answers, in the place of tokens
    error: str = "server_error"
    ends_at: str = ""  # of tokens of an installation
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    good: str | None = None  # the access token
    refresh: str | None = None
    before: str | None = None  # the refresh token that the newest answer was given for
    grants: int = 0
    gate: asyncio.Event | None = None  # answers wait for it
    is_waiting: asyncio.Event = field(default_factory=asyncio.Event)  # for the gate
    numbers: count[int] = field(default_factory=lambda: count(1))

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/installations/{id}/access_tokens", self.installation, methods=["POST"]),
                Route("/me", self.me),
                Route("/log", self.log),
            ]
        )

    async def authorize(self, request: Request) -> Response:
        """A person agrees at once."""
        query = dict(request.query_params)
        code = f"code-{next(self.numbers)}"
        self.codes[code] = query
        back = {"code": code, **({"state": query["state"]} if "state" in query else {})}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append({**dict(request.query_params), **form})
        if self.gate is not None:
            self.is_waiting.set()
            await self.gate.wait()
        if self.status is not None:
            return JSONResponse({"error": self.error}, self.status)
        return self._answer(self.asked[-1])

    def _answer(self, form: dict[str, str]) -> Response:
        if form.get("client_secret") != f"secret-{CANARY}":
            return JSONResponse({"error": "invalid_client"}, 401)
        match form["grant_type"]:
            case "refresh_token" if not self._takes(form["refresh_token"]):
                self.good = self.refresh = self.before = None
                return JSONResponse({"error": "invalid_grant", "error_description": "token was used"}, 400)
            case "authorization_code" if not self._is_begun(form):
                return JSONResponse({"error": "invalid_grant", "error_description": "no such code"}, 400)
        return self._give(form.get("refresh_token"))

    def _takes(self, token: str) -> bool:
        return token == self.refresh or (self.is_lenient and token == self.before is not None)

    def _is_begun(self, form: dict[str, str]) -> bool:
        query = self.codes.pop(form["code"], None)
        if query is None or query["redirect_uri"] != form["redirect_uri"]:
            return False
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        return query.get("code_challenge") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _give(self, used: str | None) -> Response:
        number = next(self.numbers)
        self.grants += 1
        self.good, self.before = f"access-{number}-{CANARY}", used
        if self.is_rotating or used is None:
            self.refresh = f"refresh-{number}-{CANARY}"
        life = {} if self.life is None else {"expires_in": self.life}
        return JSONResponse({"access_token": self.good, "refresh_token": self.refresh, **life})

    async def installation(self, request: Request) -> Response:
        """A token of an app's installation, as GitHub gives it; the signature is not looked at."""
        self.asked.append({"installation": request.path_params["id"], **dict(request.headers)})
        if self.status is not None:
            return JSONResponse({"message": "sorry"}, self.status)
        self.grants += 1
        self.good = f"installed-{next(self.numbers)}-{CANARY}"
        return JSONResponse({"token": self.good, "expires_at": self.ends_at}, 201)

    async def me(self, request: Request) -> Response:
        """What the access token is for."""
        if self.good is None or request.headers.get("authorization") != f"Bearer {self.good}":
            return JSONResponse({"error": "unauthorized"}, 401)
        self.before = None
        return JSONResponse({"ok": True})

    async def log(self, request: Request) -> Response:
        """What was asked, for tests that have it in another process."""
        return JSONResponse({"asked": self.asked, "grants": self.grants, "good": self.good})


async def _serve(is_lenient: bool) -> None:
    from stepwell.testing.serving import served

    vendor = Vendor(is_lenient=is_lenient)
    vendor.refresh = f"refresh-0-{CANARY}"
    async with served(vendor.app()) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve("lenient" in sys.argv))
