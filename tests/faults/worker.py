"""One worker process of a fault test: `python -m tests.faults.worker '{"lease": 1.0}'`. See Options for the rest."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import signal
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

from tests.faults.ledger import note
from tests.faults.mutants import plant

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Options:
    """How this worker differs from one that is started by hand. Times are in seconds."""

    lease: float = 1.0
    concurrency: int = 100
    grace: float = 20.0
    short_wait: float = 2.0
    max_crashes: int = 5
    is_held: bool = False  # once it has connected, wait for a line on standard input
    clock_shift: float = 0.0  # how far this machine's wall clock is off
    slowness: float = 1.0  # how many times longer its steps take
    mutant: str = ""
    has_clockwork: bool = False  # also the workflows that a schedule and events start


def main() -> None:
    """Run until told to stop. What must be planted is planted before the engine is imported."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = Options(**json.loads(sys.argv[1]))
    if options.clock_shift:
        _shift_wall_clock(options.clock_shift)
    if options.mutant:
        plant(options.mutant)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_work(options))
    else:
        uvloop.run(_work(options))
    note("left")


async def _work(options: Options) -> None:
    from stepwell.runtime.shift import WorkerSettings
    from tests.faults import flows

    flows.slowness = options.slowness
    importlib.import_module("tests.faults.voyages")
    if options.has_clockwork:
        importlib.import_module("tests.faults.clockwork")
    async with flows.app as app:
        if options.is_held:
            await asyncio.to_thread(sys.stdin.readline)
        settings = WorkerSettings(
            concurrency=options.concurrency,
            lease_for=timedelta(seconds=options.lease),
            grace=timedelta(seconds=options.grace),
            short_wait=timedelta(seconds=options.short_wait),
            max_crashes=options.max_crashes,
        )
        worker = await app.new_worker(settings)

        def stop() -> None:
            note("stopping")
            worker.stop()

        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop)
        running = asyncio.create_task(worker.run())
        ready = asyncio.create_task(worker.ready.wait())
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        note("ready")
        await running


def _shift_wall_clock(seconds: float) -> None:
    """Everything that asks Python's `time` for the wall clock is told another time."""
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    main()
