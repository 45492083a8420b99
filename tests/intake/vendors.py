"""Server processes as the tests handle them, and senders that speak HTTP by themselves, well or badly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from stepwell.sources import Request

ROOT = Path(__file__).parents[2]
SECONDS = 60.0  # how long a test waits for what must come, on a machine that is busy with something else


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


class HookServer:
    """A process that runs `tests.intake.hook_program`."""

    def __init__(self, url: str, log: Path, **environment: str) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.intake.hook_program", url],
                cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        return self._process.wait(SECONDS)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Sender:
    """A connection to a server, kept alive from one request to the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: Request, path: str = "/hooks/shopify") -> Answer:
        """Raises OSError or EOFError when the server has gone."""
        async with asyncio.timeout(SECONDS):
            self.write(head(request, path) + request.body)
            return await self.answer()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> Answer:
        async with asyncio.timeout(SECONDS):
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(lines[0].split()[1]), headers, body)

    def abort(self) -> None:
        """Go without a word."""
        self._writer.transport.abort()


def head(request: Request, path: str, *, length: int | None = None) -> bytes:
    """The lines before the body."""
    own = [(b"Host", b"localhost"), (b"Content-Length", b"%d" % (len(request.body) if length is None else length))]
    lines = [f"{request.method} {path} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in (*own, *request.headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
