"""A server that listens: for what happens on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepwell import App
from stepwell.server.serve import Server, bound

SIGNAL_SECONDS = 30.0


@asynccontextmanager
async def living(app: App, **options: Any) -> AsyncIterator[str]:
    """The URL of a server of this App on a free port of this machine."""
    async with serving(app, **options) as server:
        yield server.url


@asynccontextmanager
async def serving(app: App, **options: Any) -> AsyncIterator[Server]:
    """The server itself, which has ended when the block has."""
    server = Server(app, bound("127.0.0.1", 0), **options)
    running = asyncio.create_task(server.run())
    async with asyncio.timeout(SIGNAL_SECONDS):
        await server.started.wait()
    try:
        yield server
    finally:
        server.stop()
        await running
