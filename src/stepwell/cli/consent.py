"""`stepwell connections connect`: a person agrees in a browser, and the code comes back to this process."""

from __future__ import annotations

import asyncio
import sys
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import click

from stepwell.core.accounts import ConnectionInfo, Consent
from stepwell.errors import AuthorisationFailed, InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App

DEFAULT_REDIRECT = "http://127.0.0.1:8350/oauth/callback"
WAIT_SECONDS = 600.0  # as long as a consent is good for
REQUEST_SECONDS = 10.0  # for a browser to send its request
MAX_HEAD_BYTES = 64 * 1024

_LOCAL = ("127.0.0.1", "localhost", "::1")


async def begin(app: App, name: str, *, redirect_uri: str | None) -> Consent:
    """Where a person agrees. The browser comes back to what is given, else where the application says, else here."""
    known = (await app.connections.get(name)).application
    kept = (await app.applications.get(known)).settings.get("redirect_uri") if known else None
    return await app.connections.authorise(name, redirect_uri=redirect_uri or kept or DEFAULT_REDIRECT)


async def complete(app: App, name: str, consent: Consent) -> ConnectionInfo:
    """The connection, once the browser has come back. Raises AuthorisationFailed."""
    return await app.connections.complete(await _brought_back(name, _redirect_of(consent)))


def _redirect_of(consent: Consent) -> str:
    return dict(parse_qsl(urlsplit(consent.url).query))["redirect_uri"]


async def _brought_back(name: str, back_to: str) -> dict[str, str]:
    """The query with which the browser came back."""
    where = urlsplit(back_to)
    if where.scheme == "http" and where.hostname in _LOCAL:
        return await _heard(name, where.hostname or "", where.port or 80, where.path)
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
    else:
        line = click.prompt("the address you were sent to", err=True, hide_input=True)
    return dict(parse_qsl(urlsplit(line.strip()).query))


async def _heard(name: str, host: str, port: int, path: str) -> dict[str, str]:
    """The query of the first request to that path of this machine."""
    heard: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                words = (await reader.readuntil(b"\r\n")).decode("latin-1").split()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            words = []
        target = urlsplit(words[1]) if len(words) == 3 and words[0] == "GET" else None
        is_ours = target is not None and target.path == path
        writer.write(_page(name) if is_ours else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        if target is not None and is_ours and not heard.done():
            heard.set_result(dict(parse_qsl(target.query)))

    try:
        server = await asyncio.start_server(answer, host, port, limit=MAX_HEAD_BYTES)
    except OSError as error:
        raise InvalidOption(
            f"cannot listen on {host}:{port} for the browser to come back ({error.strerror}); give another --redirect,"
            " or --no-wait when a server of yours listens there"
        ) from None
    async with server:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await heard
        except TimeoutError:
            raise AuthorisationFailed(name, "nobody came back within ten minutes") from None


def _page(name: str) -> bytes:
    text = f"<!doctype html><title>Stepwell</title><p>Connection {escape(name)}: you may close this window.".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + text
