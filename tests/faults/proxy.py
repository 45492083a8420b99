"""A proxy in front of PostgreSQL that cuts the connection just when an answer is on its way, or loses hints."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Messages of PostgreSQL's protocol: a type, a length, then for Bind (B) the portal's name and the statement's.
STATEMENTS = {
    **{
        name: re.compile(rb"B....\0stepwell_%s(_one)?\0" % name.encode(), re.DOTALL)
        for name in ("create", "checkpoint", "flush", "items")
    },
    "commit": re.compile(rb"Q....COMMIT\0", re.DOTALL),
}

NOTIFICATION = b"A"

When = Literal["answered", "sent", "never"]


class Proxy:
    """Forwards everything, until it is told to cut."""

    def __init__(self, server: str, url: str) -> None:
        self.url = url
        self._server = server
        self._what: re.Pattern[bytes] | None = None
        self._when: When = "answered"
        self._left_alone = 0
        self._cut = asyncio.Event()
        self.swallows_hints = False
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self.swallowed, self.passed_on = 0, 0  # notifications
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str, folder: Path) -> AsyncIterator[Proxy]:
        """Stand in front of the server at `url`, which listens on a Unix socket; be reached through `folder`."""
        parts = conninfo_to_dict(url)
        name = f".s.PGSQL.{parts.get('port', 5432)}"
        proxy = cls(f"{parts['host']}/{name}", make_conninfo(url, host=str(folder)))
        server = await asyncio.start_unix_server(proxy._accept, folder / name)
        try:
            yield proxy
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    def cut(self, statement: str, *, when: When, nth: int = 1) -> None:
        """Cut the connection that sends the n-th such statement: once the server has `answered`, or once it is `sent`.

        The client gets no answer in either case. In the first the statement has done its work; in the second the server
        goes on with it, sooner or later than the client does whatever it does then. With `never` the statement is kept
        back and the connection left open, as if the network had swallowed it.
        """
        self._what, self._when, self._left_alone = STATEMENTS[statement], when, nth - 1
        self._cut.clear()

    def swallow_hints(self) -> None:
        """From now on no notification reaches anybody; everything else does, and no connection is lost."""
        self.swallows_hints = True

    def go_silent(self) -> None:
        """From now on nothing passes either way, and nobody is told: connections stay open, new ones are taken."""
        self._may_pass.clear()

    def speak_again(self) -> None:
        """What was held up passes now."""
        self._may_pass.set()

    async def passes(self) -> None:
        """Return as soon as anything passes."""
        await self._may_pass.wait()

    async def has_cut(self) -> None:
        """Return once it has."""
        await self._cut.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):  # the server of streams logs what ends a task of its
            await self.passes()
            upstream = await asyncio.open_unix_connection(self._server)
            await _Link(self, (reader, writer), upstream).run()

    def is_to_be_cut(self, data: bytes) -> When | None:
        """Whether this is the statement, and when to cut."""
        if self._what is None or not self._what.search(data):
            return None
        if self._left_alone:
            self._left_alone -= 1
            return None
        self._what = None
        return self._when

    def is_to_be_swallowed(self, kind: bytes) -> bool:
        """Whether nobody may see this message."""
        if kind != NOTIFICATION:
            return False
        self.swallowed += self.swallows_hints
        self.passed_on += not self.swallows_hints
        return self.swallows_hints

    def note_cut(self) -> None:
        self._cut.set()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: Ends, server: Ends) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cutting: When | None = None
        self._rest = b""  # the beginning of a message of the server's, whose end is still to come

    async def run(self) -> None:
        """Forward both ways until one side leaves or the connection is cut. The server may finish what it was sent."""
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._from_client())
                ways.create_task(self._from_server())
        except* OSError:
            pass
        finally:
            for _, writer in (self._client, self._server):
                writer.close()

    async def _from_client(self) -> None:
        while data := await self._client[0].read(65_536):
            await self._proxy.passes()
            self._cutting = self._cutting or self._proxy.is_to_be_cut(data)
            if self._cutting == "never":
                self._proxy.note_cut()
                return
            self._server[1].write(data)
            await self._server[1].drain()
            if self._cutting == "sent":
                self._hang_up()
                return
        self._server[1].close()

    async def _from_server(self) -> None:
        while data := await self._server[0].read(65_536):
            await self._proxy.passes()
            if self._cutting is None:
                self._client[1].write(self._without_hints(data))
                await self._client[1].drain()
            elif self._cutting == "answered":
                self._hang_up()
                return
        self._client[1].close()

    def _without_hints(self, data: bytes) -> bytes:
        """The whole messages that have come so far; each is a type, a length and the rest."""
        data, passed = self._rest + data, bytearray()
        at = 0
        while len(data) - at >= 5 and len(data) - at > (length := int.from_bytes(data[at + 1 : at + 5], "big")):
            if not self._proxy.is_to_be_swallowed(data[at : at + 1]):
                passed += data[at : at + 1 + length]
            at += 1 + length
        self._rest = data[at:]
        return bytes(passed)

    def _hang_up(self) -> None:
        self._client[1].close()
        self._proxy.note_cut()
