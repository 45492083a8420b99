"""`stepwell serve`: answer HTTP requests until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from stepwell.cli import logs
from stepwell.cli.exits import INTERRUPTED
from stepwell.cli.options import Target, database_options, output_options
from stepwell.cli.supervised import on_end_of_stdin, until_stdin_closes_option
from stepwell.cli.worker import loop_factory

if TYPE_CHECKING:
    from stepwell.app.application import App

log = logging.getLogger("stepwell.serve")


@click.command("serve")
@click.argument("flows", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a token.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8300, show_default=True, help="0 takes a free one.")
@click.option("--public-url", metavar="URL", help="Under which URL others reach it. [default: STEPWELL_PUBLIC_URL]")
@click.option(
    "--trust-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe this proxy's X-Forwarded headers; can be repeated. [default: nobody's]",
)
@logs.level_option
@until_stdin_closes_option
@output_options("Log as JSON lines.")
@database_options
def command(
    flows: str | None,
    target: Target,
    host: str,
    port: int,
    public_url: str | None,
    proxies: Sequence[str],
    log_level: str,
    until_stdin_closes: bool,
    as_json: bool,
) -> None:
    """Answer HTTP requests until told to stop.

    FLOWS is a file or module with an App, whose workflows' input is then checked before it is stored; without, any
    workflow is accepted. It runs nothing: that is what `stepwell worker` is for.

    While there is no token, only this machine is served, and another --host is refused.
    """
    from stepwell.app import settings
    from stepwell.server.serve import bound

    logs.configure(log_level, as_json=as_json)
    app = target.open_flows(flows) if flows is not None else target.bare_app()
    shown = settings.public_url()
    if public_url is not None:
        shown = settings.checked_public_url(public_url, where="--public-url")
    with bound(host, port) as listener, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(app, listener, shown, proxies, until_stdin_closes=until_stdin_closes))


async def _serve(
    app: App, listener: socket.socket, public_url: str | None, proxies: Sequence[str], *, until_stdin_closes: bool
) -> None:
    from stepwell.server.serve import Server, api_url, refuse_open_door

    async with app:
        await refuse_open_door(app, listener)
        server = Server(app, listener, public_url=public_url, proxies=proxies)
        if app.registry.names:
            await app.declare()
        _stop_on_signals(server.stop)
        if until_stdin_closes:
            on_end_of_stdin(server.stop)
        log.info("ready: %s", api_url(server.url))
        await server.run()
    log.info("stopped")


def _stop_on_signals(call: Callable[[], None]) -> None:
    is_stopping = False

    def stop(number: int) -> None:
        nonlocal is_stopping
        if is_stopping and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        is_stopping = True
        log.info("stopping: requests under way are answered; Ctrl-C again stops at once")
        call()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends it there
            loop.add_signal_handler(number, stop, number)
