"""What a process remembers of the database, so that a delivery costs no reading; and how it learns that it is old."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from stepwell.core.webhooks import Endpoints
from stepwell.errors import DatabaseUnavailable
from stepwell.inbox.snapshot import Snapshot
from stepwell.store.base import Inbox
from stepwell.store.together import Together

READ_WITHIN = timedelta(seconds=2)
PAUSE_SECONDS = 0.1  # between two looks: whoever sends what is refused costs the database no more than ten in a second


class Knowledge:
    """The snapshot by which requests are judged."""

    def __init__(self, inbox: Inbox, endpoints: Endpoints) -> None:
        self._inbox, self._endpoints = inbox, endpoints
        self._snapshot: Snapshot | None = None
        self._looks: Together[None, Snapshot] = Together(self._look)
        self._looked_at = 0.0

    async def remembered(self) -> Snapshot:
        """What was true at the last look. If it no longer is, the statement that stores a delivery finds out."""
        return self._snapshot or await self.confirmed()

    async def confirmed(self) -> Snapshot:
        """What was true at some moment after this was asked. Raises DatabaseUnavailable.

        All who ask while one look is under way share the next one.
        """
        return await self._looks.ask(None)

    async def _look(self, asked: Sequence[None]) -> Sequence[Snapshot]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._looked_at + PAUSE_SECONDS - loop.time()))
        try:
            async with asyncio.timeout(READ_WITHIN.total_seconds()):
                snapshot = await self._read()
        except TimeoutError:
            raise DatabaseUnavailable(f"the database does not answer within {READ_WITHIN}") from None
        finally:
            self._looked_at = loop.time()
        return [snapshot] * len(asked)

    async def _read(self) -> Snapshot:
        """The hooks first: what of the endpoints changes after that is of a later revision, and so found out."""
        revision, hooks = await self._inbox.hooks()
        if self._snapshot is None or self._snapshot.revision != revision:
            self._snapshot = Snapshot(revision, tuple(hooks), tuple(await self._endpoints.endpoints()))
        return self._snapshot
