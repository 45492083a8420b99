"""An ASGI application on a real socket of this machine, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

GRACE = 1.0  # seconds for requests that are under way in the end


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the test's process, and ends at once; uvicorn's own takes tenths of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)  # the headers of every answer
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - they are the caller's
        """Let the requests under way end, for a second."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if under_way := list(self.server_state.tasks):
            _, late = await asyncio.wait(under_way, timeout=GRACE)
            for task in late:
                task.cancel()
        await self.lifespan.shutdown()


def listening(port: int = 0) -> socket.socket:
    """A socket of this machine's own that listens; port 0 takes any free one. Raises OSError, OverflowError."""
    listener = socket.create_server(("127.0.0.1", port))
    # Connections inherit it. asyncio only sets it where the socket names its protocol; an answer took 40 ms without.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """The URL at which the application answers while the block runs, such as `http://127.0.0.1:40001`."""
    with listening() as listener:
        port = listener.getsockname()[1]
        server = _Quiet(uvicorn.Config(application, log_level="warning", lifespan="auto"))
        serving = asyncio.create_task(server.serve([listener]), name="stepwell-served")
        try:
            yield f"http://127.0.0.1:{port}"  # who is faster than it waits in the socket's backlog
        finally:
            server.leave.set()
            await serving
