"""A server process that takes deliveries: `python -m tests.intake.hook_program URL`. Prints its port when it listens.

Its endpoints are those of the tests: one shop, one generic sender with a limit of its own kind.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette

from stepwell.core.webhooks import Endpoint
from stepwell.inbox.receiving import Receiver
from stepwell.server import intake
from stepwell.store.postgres import PostgresStore
from tests.inbox.office import ACME, SECRET, Endpoints

GENERIC = Endpoint("any", "generic", (SECRET,))


async def main(url: str) -> None:
    """Serve until told to stop."""
    if seconds := os.environ.get("HOOK_READ_SECONDS"):
        intake.READ_WITHIN = timedelta(seconds=float(seconds))
    store = PostgresStore(url)
    receiver = Receiver(store.inbox, Endpoints(ACME, GENERIC), now=store.now)

    async def open_receiver() -> Receiver:
        return receiver

    listening = socket.socket(proto=socket.IPPROTO_TCP)  # named: else each answer waits 40 ms
    listening.bind(("127.0.0.1", 0))
    listening.listen(2_048)
    app = Starlette(routes=intake.routes_to(open_receiver))
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", backlog=2_048)
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve(sockets=[listening])
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
