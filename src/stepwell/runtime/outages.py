"""Waiting for a database that takes nothing now: that is no failure of a step, nor of a workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from stepwell.core.retry import Retry
from stepwell.store.connect import may_pass

if TYPE_CHECKING:
    from stepwell.runtime.passes import Surroundings

T = TypeVar("T")

_PAUSES = Retry(first_delay="250ms", max_delay="5s")


async def outlast(around: Surroundings, work: Callable[[], Awaitable[T]]) -> T:
    """The outcome of work that may be begun again, once the database can be reached and takes it.

    Also while the pass is closing, as nothing could be stored meanwhile; whoever loses patience cuts the pass.
    """
    failures = 0
    while True:
        try:
            return await work()
        except Exception as error:
            if not may_pass(error):
                raise
            failures += 1
            await asyncio.sleep(_PAUSES.longest_delay(failures).total_seconds() * around.random())
