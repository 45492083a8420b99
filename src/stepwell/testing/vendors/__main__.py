"""`python -m stepwell.testing.vendors azure-devops --port 0`: a fake vendor as a process; its URL is its first line.

It sends the webhooks that were subscribed to, and tries again as the vendor does, with its hours in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn

from stepwell.testing import vendors
from stepwell.testing.vendors.sender import Deliveries

FAKES = {"azure-devops": "FakeAzureDevOps", "clickup": "FakeClickUp", "github": "FakeGitHub", "shopify": "FakeShopify"}


async def serve(vendor: str, *, port: int, options: dict[str, Any], until_stdin_closes: bool = False) -> None:
    """Answer on this machine until the process is told to end, or until its standard input ends."""
    application = getattr(vendors, FAKES[vendor])(**options)
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        async with Deliveries(application.outgoing):
            serving = asyncio.create_task(server.serve([listener]), name="stepwell-vendor")
            if until_stdin_closes:
                ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read), name="stepwell-stdin")
                await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
                server.should_exit = True
            await serving


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser("python -m stepwell.testing.vendors", description="Serve a fake vendor.")
    parser.add_argument("vendor", choices=sorted(FAKES))
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument(
        "--options", type=json.loads, default={}, help='what the fake is made with, as JSON: {"tokens": ["pat-1"]}'
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="also end when standard input does")
    given = parser.parse_args(arguments)
    serving = serve(given.vendor, port=given.port, options=given.options, until_stdin_closes=given.until_stdin_closes)
    asyncio.run(serving)


if __name__ == "__main__":
    main()
