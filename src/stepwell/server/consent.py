"""`/oauth/callback`: where a vendor sends the browser of who has agreed. It needs no token: its state is one."""

from __future__ import annotations

import html
import logging

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from stepwell.app.application import App
from stepwell.errors import AuthorisationFailed, StepwellError

log = logging.getLogger("stepwell.http")

PATH = "/oauth/callback"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address of this page holds a code
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<body style="font: 18px/1.5 system-ui; max-width: 36em; margin: 15vh auto; padding: 0 1em"><h1>{title}</h1><p>{text}</p>
"""


def consent_route(app: App) -> Route:
    """The route. Whatever becomes of it, a page says so; the address it was opened with is in no log of ours."""

    async def complete(request: Request) -> HTMLResponse:
        try:
            connection = await app.connections.complete(dict(request.query_params))
        except AuthorisationFailed as error:
            return _page(400, "The account was not connected", str(error))
        except StepwellError as error:
            log.error("an account could not be connected: %s: %s", type(error).__name__, error)
            return _page(503, "The account was not connected", "Something went wrong here; begin again later.")
        return _page(200, "The account is connected", f"'{connection.name}' can be used now. You can close this page.")

    return Route(PATH, complete, methods=["GET"])


def _page(status: int, title: str, text: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=html.escape(title), text=html.escape(text)), status, headers=_HEADERS)
