"""An ASGI application on a real socket of this machine, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class _Quiet(uvicorn.Server):
    """A server that leaves the signals to the test's process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """The URL at which the application answers while the block runs, such as `http://127.0.0.1:40001`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = _Quiet(uvicorn.Config(application, log_level="warning", lifespan="auto", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve([listener]), name="stepwell-served")
        try:
            yield f"http://127.0.0.1:{port}"  # who is faster than it waits in the socket's backlog
        finally:
            server.should_exit = True
            await serving
