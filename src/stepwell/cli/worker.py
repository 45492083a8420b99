"""`stepwell worker`: run executions until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from stepwell.cli import logs
from stepwell.cli.exits import INTERRUPTED, OK
from stepwell.cli.options import Target, database_options, output_options, to_duration
from stepwell.cli.supervised import on_end_of_stdin, until_stdin_closes_option
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.app.application import App
    from stepwell.runtime.shift import WorkerSettings
    from stepwell.runtime.worker import Worker

log = logging.getLogger("stepwell.worker")

IDLE_THREAD_SECONDS = 0.2  # within this, threads that have nothing to do have ended


@click.command("worker")
@click.argument("flows")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Executions at once. [default: 500]")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="Claim from this queue only; can be repeated.")
@click.option(
    "--grace", metavar="TIME", callback=to_duration, help="Time for running steps to end when it stops. [default: 30s]"
)
@click.option(
    "--lease", metavar="TIME", callback=to_duration, help="Silence after which it counts as dead. [default: 4.5s]"
)
@logs.level_option
@until_stdin_closes_option
@click.option("--http", metavar="HOST:PORT", help="Also serve the HTTP API there; fd:NUMBER is a socket opened for it.")
@output_options("Log as JSON lines.")
@database_options
def command(
    flows: str,
    target: Target,
    concurrency: int | None,
    queues: Sequence[str],
    grace: timedelta | None,
    lease: timedelta | None,
    log_level: str,
    until_stdin_closes: bool,
    http: str | None,
    as_json: bool,
) -> None:
    """Run executions until told to stop.

    FLOWS is a file (flows.py) or a module (package.flows) with an App; flows.py:app says which of several.

    SIGTERM or Ctrl-C stops it: it claims nothing more, gives running steps their grace, hands everything else back at
    once and exits with 0. A second Ctrl-C stops it on the spot, with 130: what was running is carried on by another
    worker when the lease has ended, after about 5 seconds.
    """
    logs.configure(log_level, as_json=as_json)
    app = target.open_flows(flows)
    settings = _settings(concurrency, queues, grace, lease)
    collect_seldom()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(app, settings, http, until_stdin_closes=until_stdin_closes))
    _leave_stuck_threads()


def collect_seldom() -> None:
    """Look for cyclic garbage seldom, and never among what was imported: it took a sixth of a step's time.

    The engine makes none per step; what user code makes is found after 20,000 objects instead of 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _settings(
    concurrency: int | None, queues: Sequence[str], grace: timedelta | None, lease: timedelta | None
) -> WorkerSettings:
    from stepwell.app.checks import checked_lease, checked_queues
    from stepwell.runtime.shift import DEFAULTS

    return replace(
        DEFAULTS,
        concurrency=DEFAULTS.concurrency if concurrency is None else concurrency,
        queues=checked_queues(queues),
        grace=DEFAULTS.grace if grace is None else grace,
        lease_for=checked_lease(lease) or DEFAULTS.lease_for,
    )


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _work(app: App, settings: WorkerSettings, http: str | None, *, until_stdin_closes: bool) -> None:
    async with app, _serving(app, http):
        worker = await app.new_worker(settings)
        _stop_on_signals(worker, settings.grace)
        if until_stdin_closes:
            on_end_of_stdin(worker.stop)
        announcing = asyncio.create_task(_announce(worker, app, settings), name="stepwell-announce")
        await worker.run()
        announcing.cancel()
    log.info("stopped")


@asynccontextmanager
async def _serving(app: App, http: str | None) -> AsyncIterator[None]:
    """Serve HTTP while the block runs, on a socket that was opened for this process or is opened by it."""
    if http is None:
        yield
        return
    from stepwell.server.serve import Server, bound, refuse_open_door

    host, _, number = http.rpartition(":")
    if not host or not number.isdecimal():
        raise InvalidOption(f"--http is {http!r:.100}; write it like 127.0.0.1:8300")
    with socket.socket(fileno=int(number)) if host == "fd" else bound(host.strip("[]"), int(number)) as listener:
        await refuse_open_door(app, listener)
        server = Server(app, listener)
        serving = asyncio.create_task(server.run(), name="stepwell-http")
        try:
            yield
        finally:
            server.stop()
            await serving


def _leave_stuck_threads() -> None:
    """End the process although a step in a thread has not ended: the interpreter would wait for it, perhaps for hours.

    It was handed back when its grace was over; what it does from now on counts for nothing.
    """
    ours = [
        thread for thread in threading.enumerate() if thread.name.startswith(("stepwell-step", "stepwell-workflow"))
    ]
    for thread in ours:
        thread.join(IDLE_THREAD_SECONDS / len(ours))
    if stuck := sum(thread.is_alive() for thread in ours):
        log.warning("left behind: %d thread(s) in which a step does not end", stuck)
        logging.shutdown()
        os._exit(OK)


async def _announce(worker: Worker, app: App, settings: WorkerSettings) -> None:
    await worker.ready.wait()
    queues = ", ".join(settings.queues or app.registry.queues)
    log.info(
        "ready: workflows %s; queues %s; up to %d executions at once",
        ", ".join(app.registry.names),
        queues,
        settings.concurrency,
    )


def _stop_on_signals(worker: Worker, grace: timedelta) -> None:
    is_stopping = False

    def stop(number: int) -> None:
        nonlocal is_stopping
        if is_stopping and number == signal.SIGINT:
            log.warning("stopped on the spot; what was running is carried on elsewhere when the lease has ended")
            os._exit(INTERRUPTED)
        if not is_stopping:
            log.info("stopping: running steps have %g s to end; Ctrl-C again stops at once", grace.total_seconds())
        is_stopping = True
        worker.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(stop, number))
