"""`stepwell dev`: a worker that starts again with the new code whenever a file is saved."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from datetime import timedelta

import click

from stepwell.cli import logs
from stepwell.cli.options import Target, database_options, is_debug, output_options, to_duration
from stepwell.errors import InvalidOption

log = logging.getLogger("stepwell.dev")

GRACE = "5s"  # a step that takes longer is cut and runs again: nobody waits long for a reload


@click.command("dev")
@click.argument("flows")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Executions at once. [default: 500]")
@click.option(
    "--grace",
    metavar="TIME",
    default=GRACE,
    show_default=True,
    callback=to_duration,
    help="Time for running steps before a restart.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Port of its HTTP API. [default: 8300, or a free one if it is taken]"
)
@logs.level_option
@output_options("Log as JSON lines.")
@database_options
def command(
    flows: str,
    target: Target,
    concurrency: int | None,
    grace: timedelta,
    port: int | None,
    log_level: str,
    as_json: bool,
) -> None:
    """Run a worker that starts again with the new code whenever a file is saved.

    FLOWS is a file (flows.py) or a module (package.flows) with an App; flows.py:app says which of several. Python files
    in its folder and below are watched. The worker is a process of its own: on a change it ends its running steps and
    leaves, and a fresh one carries on. Code that cannot be loaded is reported, and the next save tries again.

    It serves the HTTP API on 127.0.0.1, for this machine only. Requests during a restart wait for the fresh worker.
    """
    from stepwell.cli.flows import locate
    from stepwell.cli.reload import Reloader
    from stepwell.server.serve import api_url, url_of

    logs.configure(log_level, as_json=as_json)
    listener = _listener(port)
    folder = locate(flows).root
    worker = [sys.executable, "-P", "-m", "stepwell", "worker", flows, "--until-stdin-closes"]
    worker += ["--grace", f"{grace.total_seconds():f}s", "--log-level", log_level, *target.arguments()]
    if concurrency is not None:
        worker += ["--concurrency", str(concurrency)]
    worker += ["--json"] * as_json + ["--debug"] * is_debug()
    log.info("HTTP API: %s", api_url(url_of(listener)))
    address, inherited = _handed_on(listener)
    worker += ["--http", address]
    code = asyncio.run(Reloader(worker, folder, inherited).run())
    click.get_current_context().exit(code)


def _listener(port: int | None) -> socket.socket:
    """Where the API is served. It outlives the workers, so that nobody is refused while one follows the other."""
    from stepwell.server.serve import DEFAULT_HOST, DEFAULT_PORT, bound

    if port is not None:
        return bound(DEFAULT_HOST, port)
    try:
        return bound(DEFAULT_HOST, DEFAULT_PORT)
    except InvalidOption:
        return bound(DEFAULT_HOST, 0)


def _handed_on(listener: socket.socket) -> tuple[str, list[int]]:
    """What a worker is told of the socket, and the descriptors it inherits."""
    if os.name == "posix":
        return f"fd:{listener.fileno()}", [listener.fileno()]
    host, port = listener.getsockname()  # Windows hands on none: each worker opens its own
    listener.close()
    return f"{host}:{port}", []
