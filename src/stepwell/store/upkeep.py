"""What workers do beside executions, on PostgreSQL: words to find them by, and the end of what is old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from stepwell.store import binary
from stepwell.store.listing import Read

REMOVED_AT_ONCE = 500  # executions of a statement, of a few milliseconds
EVENTS_AT_ONCE = 1_000
PLACE_SECONDS = 86_400.0  # after its turn: an execution that still wants it would have come
DELIVERIES_AT_ONCE = 500
SWEPT_ROWS = 5_000
SWEPT_BYTES = 32 * 1024 * 1024  # a value of 1 MiB is 500 rows of its own
ENTERED_AT_ONCE = 1_000  # executions: a tenth of a second
LATE_SECONDS, LATE_SECONDS_WHILE_BUSY = 60.0, 5.0


class PostgresUpkeep:
    """Keeps the Upkeep protocol. `run` goes by a connection of its own: nothing waits for these statements."""

    def __init__(self, run: Read) -> None:
        self._run = run
        self._is_busy = False

    async def remove(self, keep: Mapping[str, timedelta]) -> bool:
        """As Upkeep.remove."""
        seconds = binary.float8s([kept.total_seconds() for kept in keep.values()])
        found = await self._run("remove", binary.texts(keep), seconds, binary.int4(REMOVED_AT_ONCE))
        return bool(found[0][0] >= REMOVED_AT_ONCE)

    async def remove_events(self, keep: timedelta) -> bool:
        """As Upkeep.remove_events."""
        found = await self._run("remove_events", binary.float8(keep.total_seconds()), binary.int4(EVENTS_AT_ONCE))
        return bool(found[0][0] >= EVENTS_AT_ONCE)

    async def remove_deliveries(self, keep: timedelta) -> bool:
        """As Upkeep.remove_deliveries."""
        seconds = binary.float8(keep.total_seconds())
        found = await self._run("remove_deliveries", seconds, binary.int4(DELIVERIES_AT_ONCE))
        return bool(found[0][0] >= DELIVERIES_AT_ONCE)

    async def sweep(self) -> bool:
        """As Upkeep.sweep."""
        found = await self._run("sweep", binary.int4(SWEPT_ROWS), binary.int8(SWEPT_BYTES))
        return bool(found[0][0])

    async def remove_places(self) -> bool:
        """As Upkeep.remove_places."""
        found = await self._run("remove_places", binary.float8(PLACE_SECONDS), binary.int4(EVENTS_AT_ONCE))
        return bool(found[0][0] >= EVENTS_AT_ONCE)

    async def make_searchable(self) -> bool:
        """As Upkeep.make_searchable. While there is much to do it does not look back far for what came late."""
        late = LATE_SECONDS_WHILE_BUSY if self._is_busy else LATE_SECONDS
        found = await self._run("make_searchable", binary.int4(ENTERED_AT_ONCE), binary.float8(late))
        self._is_busy = bool(found[0][0] >= ENTERED_AT_ONCE)
        return self._is_busy
