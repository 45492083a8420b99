"""Whether somebody still waits for an answer that takes long: the client may leave, and the server may stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")


class Presence:
    """The client of one request. Its body has been read: what comes next is that it leaves."""

    def __init__(self, receive: Receive, stopping: asyncio.Event) -> None:
        self._receive, self._stopping = receive, stopping
        self.is_over = False

    async def during(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work returns or raises. None, and the work is cancelled: the client left or the server stops."""
        working = asyncio.ensure_future(work)
        others = [asyncio.ensure_future(one) for one in (self._leaves(), self._stopping.wait())]
        try:
            await asyncio.wait([working, *others], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            self.is_over = True
            return None
        finally:
            await _end(working, *others)

    async def _leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what has not ended, and see that it has: a request leaves no task behind (F35)."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
