"""`python -m stepwell.testing.vendors azure-devops --port 0`: a fake vendor as a process; its URL is its first line.

It sends the webhooks that were subscribed to, and tries again as the vendor does, `--speed` times faster.
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
from stepwell.testing.serving import listening
from stepwell.testing.vendors.fake import FakeVendor
from stepwell.testing.vendors.sender import SPEED, Deliveries

FAKES = {"azure-devops": "FakeAzureDevOps", "clickup": "FakeClickUp", "github": "FakeGitHub", "shopify": "FakeShopify"}


async def serve(fake: FakeVendor, listener: socket.socket, *, speed: float, until_stdin_closes: bool = False) -> None:
    """Answer on this machine until the process is told to end, or until its standard input ends."""
    server = uvicorn.Server(uvicorn.Config(fake, log_level="warning"))
    with listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        async with Deliveries(fake.outgoing, speed=speed):
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
        "--options", type=_object, default={}, help='what the fake is made with, as JSON: {"tokens": ["pat-1"]}'
    )
    parser.add_argument(
        "--speed", type=_speed, default=SPEED, help=f"how much faster webhooks are sent again (default: {SPEED:.0f})"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="also end when standard input does")
    given = parser.parse_args(arguments)
    try:
        fake = getattr(vendors, FAKES[given.vendor])(**given.options)
        listener = listening(given.port)
    except (ImportError, TypeError, ValueError, OverflowError, OSError) as error:
        parser.error(str(error))
    asyncio.run(serve(fake, listener, speed=given.speed, until_stdin_closes=given.until_stdin_closes))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return speed


if __name__ == "__main__":
    main()
