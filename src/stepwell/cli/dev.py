"""`stepwell dev`: a worker that starts again with the new code whenever a file is saved."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import click

from stepwell.cli import logs
from stepwell.cli.options import Target, database_options, is_debug, output_options, to_duration

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
@click.option("--log-level", type=click.Choice(logs.LEVELS), default="info", show_default=True, help="What to log.")
@output_options("Log as JSON lines.")
@database_options
def command(
    flows: str, target: Target, concurrency: int | None, grace: timedelta, log_level: str, as_json: bool
) -> None:
    """Run a worker that starts again with the new code whenever a file is saved.

    FLOWS is a file (flows.py) or a module (package.flows) with an App; flows.py:app says which of several. Python files
    in its folder and below are watched. The worker is a process of its own: on a change it ends its running steps and
    leaves, and a fresh one carries on. Code that cannot be loaded is reported, and the next save tries again.
    """
    from stepwell.cli.flows import locate
    from stepwell.cli.reload import Reloader

    logs.configure(log_level, as_json=as_json)
    folder = locate(flows).root
    worker = [sys.executable, "-P", "-m", "stepwell", "worker", flows, "--until-stdin-closes"]
    worker += ["--grace", f"{grace.total_seconds():f}s", "--log-level", log_level, *target.arguments()]
    if concurrency is not None:
        worker += ["--concurrency", str(concurrency)]
    worker += ["--json"] * as_json + ["--debug"] * is_debug()
    code = asyncio.run(Reloader(worker, folder).run())
    click.get_current_context().exit(code)
