"""`stepwell connections connect`: a person agrees in a browser, and the code comes back to this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

import click

from stepwell.core.accounts import Consent
from stepwell.errors import AuthorisationFailed, InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App

DEFAULT_REDIRECT = "http://127.0.0.1:8350/oauth/callback"
WAIT_SECONDS = 600.0  # as long as a consent is good for
REQUEST_SECONDS = 10.0  # for a browser to send its request
MAX_HEAD_BYTES = 64 * 1024
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_LOCAL = ("127.0.0.1", "localhost", "::1")


async def begin(app: App, name: str, *, redirect_uri: str | None) -> Consent:
    """Where a person agrees. The browser comes back to what is given, else where the application says, else here."""
    known = (await app.connections.get(name)).application
    kept = (await app.applications.get(known)).settings.get("redirect_uri") if known else None
    return await app.connections.authorise(name, redirect_uri=redirect_uri or kept or DEFAULT_REDIRECT)


@asynccontextmanager
async def returning(name: str, consent: Consent) -> AsyncIterator[Callable[[], Awaitable[dict[str, str]]]]:
    """A function that waits for the query with which the browser comes back; who is sent here is heard from now on."""
    where = urlsplit(_redirect_of(consent))
    if where.scheme != "http" or where.hostname not in _LOCAL:
        yield _typed
        return
    heard: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    async with await _listening(name, where, heard):
        yield partial(_waited, name, heard)


def _redirect_of(consent: Consent) -> str:
    return dict(parse_qsl(urlsplit(consent.url).query))["redirect_uri"]


async def _typed() -> dict[str, str]:
    """Of the address that a person copies from the browser."""
    if not sys.stdin.isatty():
        line = await asyncio.to_thread(sys.stdin.readline)
    else:
        line = click.prompt("the address you were sent to", err=True, hide_input=True)
    return dict(parse_qsl(urlsplit(line.strip()).query))


async def _waited(name: str, heard: asyncio.Future[dict[str, str]]) -> dict[str, str]:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await heard
    except TimeoutError:
        raise AuthorisationFailed(name, "nobody came back within ten minutes") from None


async def _listening(name: str, where: SplitResult, heard: asyncio.Future[dict[str, str]]) -> asyncio.Server:
    """A server that hears the first request to that path of this machine. Raises InvalidOption: the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await _query_of(reader, where.path)
        writer.write(NOT_FOUND if query is None else _page(name))
        await writer.drain()
        writer.close()
        if query is not None and not heard.done():
            heard.set_result(query)

    port = where.port or 80
    try:
        return await asyncio.start_server(answer, where.hostname, port, limit=MAX_HEAD_BYTES)
    except OSError as error:
        raise InvalidOption(
            f"cannot listen on {where.hostname}:{port} for the browser to come back ({error.strerror}); give another"
            " --redirect, or --no-wait when a server of yours listens there"
        ) from None


async def _query_of(reader: asyncio.StreamReader, path: str) -> dict[str, str] | None:
    """The query of a GET for that path; None for any other request."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            words = (await reader.readuntil(b"\r\n")).decode("latin-1").split()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    target = urlsplit(words[1]) if len(words) == 3 and words[0] == "GET" else None
    return dict(parse_qsl(target.query)) if target is not None and target.path == path else None


def _page(name: str) -> bytes:
    text = f"<!doctype html><title>Stepwell</title><p>Connection {escape(name)}: you may close this window.".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + text
