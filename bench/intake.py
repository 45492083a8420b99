"""Deliveries of webhooks to one server process: how many a second, and how soon each is answered.

The sender shares the machine with the server and the database, so it is cheap: every request is signed and built before
the clock starts, and each connection is a protocol that does nothing but count answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import cast

import uvloop

from bench.engines import HERE, EngineSpec
from bench.measure import cpu_seconds, percentile
from bench.postgres import Postgres
from bench.processes import EngineFailed
from stepwell import App
from stepwell.core.webhooks import HookSpec
from stepwell.sealing import new_key
from stepwell.sources import SOURCES, sign
from stepwell.store.postgres import PostgresStore

SECRET = b"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"
CONNECTIONS = 64
WARM_UPS = 500
START_SECONDS = 60.0
LINES = b'{"id":%d,"sku":"A-%d","title":"A thing of the catalogue","quantity":2,"price":"19.90","taxable":true}'


def take(
    engine: EngineSpec, postgres: Postgres, *, deliveries: int, pace: int, paced_seconds: float
) -> dict[str, float]:
    """As fast as they are answered, then at a fixed pace, each counted from the moment at which it was due."""
    with postgres.database(f"bench_{engine.name}_intake") as url, _server(url) as (port, pid):
        paced = int(pace * paced_seconds)
        requests = [_request(number) for number in range(WARM_UPS + deliveries + paced)]
        figures = uvloop.run(_measure(port, pid, requests, deliveries=deliveries, pace=pace))
        uvloop.run(_check(url, len(requests)))
    return figures


async def _measure(port: int, pid: int, requests: Sequence[bytes], *, deliveries: int, pace: int) -> dict[str, float]:
    senders = await Senders.connect(port)
    await senders.send(requests[:WARM_UPS])
    cpu, began = cpu_seconds(pid), time.perf_counter()
    await senders.send(requests[WARM_UPS : WARM_UPS + deliveries])
    took, cpu = time.perf_counter() - began, cpu_seconds(pid) - cpu
    milliseconds = [1e3 * late for late in await senders.send_at(requests[WARM_UPS + deliveries :], pace=pace)]
    senders.close()
    return {
        "accepted_per_second": deliveries / took,
        "cpu_us_per_delivery": cpu / deliveries * 1e6,
        "p50_ms": percentile(milliseconds, 50),
        "p99_ms": percentile(milliseconds, 99),
    }


async def _check(url: str, count: int) -> None:
    """Every delivery was answered with 202, and is there with its execution."""
    async with App(url) as app:
        found = sum((await app.count(workflow="bench")).values())
    if found != count:
        raise EngineFailed(f"{count} deliveries were accepted, and there are {found} executions")


def _request(number: int) -> bytes:
    """An order of about 1,100 bytes, signed as Shopify does."""
    lines = b",".join(LINES % (number * 10 + place, place) for place in range(10))
    body = b'{"id":%d,"email":"anna@example.com","line_items":[%s]}' % (820982911946154508 + number, lines)
    id = f"event-{number}"
    said = sign(SOURCES["shopify"], body, SECRET, type="orders/updated", id=id, now=datetime.now(UTC))
    headers = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    head = f"POST /hooks/shopify/acme HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Senders:
    """Connections that are kept alive, each with one request under way at most."""

    def __init__(self, protocols: Sequence[_Sender]) -> None:
        self._protocols = protocols

    @classmethod
    async def connect(cls, port: int) -> Senders:
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(_Sender, "127.0.0.1", port) for _ in range(CONNECTIONS)]
        return cls([protocol for _, protocol in made])

    async def send(self, requests: Sequence[bytes]) -> None:
        """All of them, each as soon as a connection is free."""
        waiting = iter(requests)
        await asyncio.gather(*(protocol.send_all(waiting) for protocol in self._protocols))

    async def send_at(self, requests: Sequence[bytes], *, pace: int) -> list[float]:
        """So many a second; how long after the moment at which it was due each was answered."""
        loop, waiting = asyncio.get_running_loop(), iter(enumerate(requests))
        began, late = loop.time(), list[float]()

        async def work(protocol: _Sender) -> None:
            for number, request in waiting:
                due = began + number / pace
                await asyncio.sleep(due - loop.time())
                await protocol.send(request)
                late.append(loop.time() - due)

        await asyncio.gather(*map(work, self._protocols))
        return late

    def close(self) -> None:
        for protocol in self._protocols:
            protocol.close()


class _Sender(asyncio.Protocol):
    """One connection. An answer is short, and comes in one piece but for the rarest of cases."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[None] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    async def send(self, request: bytes) -> None:
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered

    async def send_all(self, requests: Iterator[bytes]) -> None:
        for request in requests:
            await self.send(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"}"):
            return
        received, self._received = self._received, b""
        assert self._answered is not None
        if received.startswith(b"HTTP/1.1 202"):
            self._answered.set_result(None)
        else:
            self._answered.set_exception(EngineFailed(f"a delivery was answered with {received[:200]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(EngineFailed(f"the server closed a connection: {exc}"))

    def close(self) -> None:
        self._transport.close()


@contextmanager
def _server(url: str) -> Iterator[tuple[int, int]]:
    """`stepwell serve` with a connection and a trigger: its port and process id."""
    environment = {**os.environ, "STEPWELL_KEYS": new_key("bench").text()}
    os.environ["STEPWELL_KEYS"] = environment["STEPWELL_KEYS"]
    uvloop.run(_set_up(url))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "stepwell", "serve", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([*command, "--database", url], cwd=HERE.parent, env=environment)
    try:
        _wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


async def _set_up(url: str) -> None:
    async with App(url) as app:
        await app.connections.add("acme", "shopify", hook_secrets=[SECRET.decode()])
    store = PostgresStore(url)
    spec = HookSpec("bench", "bench", "default", "event", "shopify", ("orders/*",))
    await store.inbox.apply_hooks([spec], workflows=["bench"])
    await store.close()


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise EngineFailed("the server does not listen")
