"""`python -m stepwell.testing.vendors azure-devops --port 0`: a fake vendor as a process; its URL is its first line."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from stepwell.testing import vendors

FAKES = {"azure-devops": "FakeAzureDevOps", "clickup": "FakeClickUp", "github": "FakeGitHub"}


async def serve(vendor: str, *, port: int, options: dict[str, Any]) -> None:
    """Answer on this machine until the process is told to end."""
    application = getattr(vendors, FAKES[vendor])(**options)
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await uvicorn.Server(uvicorn.Config(application, log_level="warning")).serve([listener])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser("python -m stepwell.testing.vendors", description="Serve a fake vendor.")
    parser.add_argument("vendor", choices=sorted(FAKES))
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument(
        "--options", type=json.loads, default={}, help='what the fake is made with, as JSON: {"tokens": ["pat-1"]}'
    )
    given = parser.parse_args(arguments)
    asyncio.run(serve(given.vendor, port=given.port, options=given.options))


if __name__ == "__main__":
    main()
