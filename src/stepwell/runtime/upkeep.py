"""What a worker does beside executions: removes those that ended long ago, and makes the others easy to find.

In pieces of some milliseconds, with pauses, on a connection of its own: no claim and no step waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from stepwell.core.retention import DEFAULT_RETENTION, DELIVERY_RETENTION
from stepwell.errors import DatabaseError
from stepwell.runtime.registry import Registry
from stepwell.store.base import Upkeep

log = logging.getLogger("stepwell.worker")

REMOVE_EVERY = timedelta(minutes=5)
ENTER_EVERY = timedelta(seconds=20)
SHARE = 4  # pauses are so many times as long as the work: a fifth of one connection at most
SHORTEST_PAUSE = timedelta(milliseconds=50)


@asynccontextmanager
async def upkeep(
    store: Upkeep, registry: Registry, *, first_after: timedelta, deliveries_for: timedelta = DELIVERY_RETENTION
) -> AsyncIterator[None]:
    """It is done while the block runs. `first_after` parts workers that were started together.

    Deliveries of webhooks are kept for so long.
    """
    ticks = ((partial(remove, store, registry, deliveries_for), REMOVE_EVERY), (store.make_searchable, ENTER_EVERY))
    tasks = [asyncio.create_task(_repeat(tick, every, first_after), name="stepwell-upkeep") for tick, every in ticks]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def remove(store: Upkeep, registry: Registry, deliveries_for: timedelta = DELIVERY_RETENTION) -> bool:
    """Remove a piece of what is old; whether there is more. Only workflows that are known here are judged."""
    there_is_more = [await store.remove(registry.kept), await store.remove_events(DEFAULT_RETENTION)]
    return any(
        [
            *there_is_more,
            await store.sweep(),
            await store.remove_places(),
            await store.remove_deliveries(deliveries_for),
        ]
    )


async def _repeat(tick: Callable[[], Awaitable[bool]], every: timedelta, first_after: timedelta) -> None:
    loop, pause = asyncio.get_running_loop(), first_after
    while True:
        await asyncio.sleep(pause.total_seconds())
        began, there_is_more = loop.time(), False
        try:
            there_is_more = await tick()
        except DatabaseError as error:
            log.info("upkeep: %s; trying again later", error)
        except Exception as error:
            log.error("upkeep ended with an error; trying again later", exc_info=error)
        took = timedelta(seconds=loop.time() - began)
        pause = max(took * SHARE, SHORTEST_PAUSE) if there_is_more else every
