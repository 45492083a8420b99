"""A worker beside other code on the same event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stepwell.runtime.worker import Worker

log = logging.getLogger("stepwell.worker")


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """The worker runs while the block does. What ends it before is raised instead of the block, or at its end."""
    running = asyncio.create_task(worker.run(), name="stepwell-worker")
    ready = asyncio.create_task(worker.ready.wait())
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        running.add_done_callback(_log_death)
        yield
    finally:
        ready.cancel()
        worker.stop()
        await running


def _log_death(running: asyncio.Task[None]) -> None:
    """The block may go on for days before it comes to its end: say it now."""
    if not running.cancelled() and (error := running.exception()) is not None:
        log.critical("the worker of this process has ended; nothing is run here any more", exc_info=error)
