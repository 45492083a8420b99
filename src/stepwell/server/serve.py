"""A server of our own around the ASGI application: its socket, its limits, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from stepwell.app.application import App
from stepwell.errors import InvalidOption
from stepwell.server.application import Application
from stepwell.server.guards import is_loopback
from stepwell.server.table import PREFIX

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8300

MAX_CONNECTIONS = 2_000  # each costs some kilobytes; the next ones get 503 at once instead of a slow server
BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 30  # for the next request on a connection
GRACE_SECONDS = 10  # for requests under way, when the server ends; those that wait or stream end at once

log = logging.getLogger("stepwell.http")


class _Uvicorn(uvicorn.Server):
    """Leaves signals to whoever runs it, and says when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: asyncio.Event) -> None:
        super().__init__(config)
        self._told = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told.set()


class Server:
    """Serves one App on a socket until it is told to stop. The App is opened and closed by whoever runs it."""

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        *,
        public_url: str | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        self._listener = listener
        app.served_at = url_of(listener)
        self.url = public_url or app.served_at
        self.started = asyncio.Event()
        self._application = Application(app, public_url=public_url)
        self._uvicorn = _Uvicorn(_config(self._application, proxies), self.started)

    async def run(self) -> None:
        """Take requests until `stop`; then finish those that are under way."""
        await self._uvicorn.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Take no more requests. What waits or streams ends now, anything else has a grace of 10 seconds."""
        self._application.stop()
        self._uvicorn.should_exit = True


def _config(application: Application, proxies: Sequence[str]) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # that it starts and ends is said by whoever runs it
    return uvicorn.Config(
        application,
        http=_protocol(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=MAX_CONNECTIONS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _protocol() -> Any:
    """uvicorn's faster protocol, with a limit on the time that headers take; where it is not built, the plain one."""
    try:
        from stepwell.server.hurried import HurriedProtocol
    except ImportError:
        return "h11"
    return HurriedProtocol


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any free one. Raises InvalidOption."""
    try:
        return _listening(*socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE)[0])
    except OSError as error:
        raise InvalidOption(
            f"{host} port {port} cannot be listened on: {error.strerror or error};"
            " choose another --port, or 0 for a free one"
        ) from error


def _listening(family: int, kind: int, protocol: int, _: str, address: Any) -> socket.socket:
    """Its protocol is named: only then do event loops turn off Nagle's delay, of 40 ms an answer, for connections."""
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it lets two servers take one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The address at which a program on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def api_url(url: str) -> str:
    """Where the API is below it."""
    return url.rstrip("/") + PREFIX


async def refuse_open_door(app: App, listener: socket.socket) -> None:
    """Raise InvalidOption when others could reach the server and there is no token that they would need."""
    host = listener.getsockname()[0]
    if is_loopback(host) or await app.tokens():
        return
    raise InvalidOption(
        f"there is no token yet, so {host} would let anybody in;"
        " make one with `stepwell tokens create NAME --scope admin`, or serve this machine only (--host 127.0.0.1)"
    )
