"""Group commit of deliveries: what arrives while one statement is under way is in the next one.

There is no timer: a lone delivery is stored at once, and the more arrive, the more share a commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import psycopg

from stepwell.core.webhooks import Accepted, NewDelivery
from stepwell.errors import DatabaseUnavailable, InvalidValue
from stepwell.failpoints import failpoint
from stepwell.store.base import Inbox
from stepwell.store.connect import is_passing
from stepwell.store.together import Together

MAX_DELIVERIES = 500  # in one statement, which stays under a tenth of a second
STORE_WITHIN = timedelta(seconds=2)  # who waits for one statement and then for another is within Shopify's limit of 5
MAX_BYTES = 16_000_000  # of bodies in one statement, each of which is there twice


class _Arrived(NamedTuple):
    delivery: NewDelivery
    revision: int


_Outcome = Accepted | None | InvalidValue


class Gathering:
    """Stores the deliveries of a process."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._together: Together[_Arrived, _Outcome] = Together(self._store)

    async def accept(self, delivery: NewDelivery, *, revision: int) -> Accepted | None:
        """What became of it, durably. None: the revision is old, and it was not stored.

        Raises DatabaseUnavailable when it is not known to be stored, InvalidValue when no database takes it.
        """
        outcome = await self._together.ask(_Arrived(delivery, revision))
        if isinstance(outcome, InvalidValue):
            raise outcome
        return outcome

    async def _store(self, arrived: Sequence[_Arrived]) -> Sequence[_Outcome]:
        newest = max(one.revision for one in arrived)
        outcomes: dict[int, _Outcome] = {}
        for places in _portions(arrived, newest):
            failpoint("before_webhook_commit")
            found = await self._accept([arrived[place].delivery for place in places], newest)
            outcomes.update(zip(places, found, strict=True))
        return [outcomes.get(place) for place in range(len(arrived))]

    async def _accept(self, deliveries: Sequence[NewDelivery], revision: int) -> Sequence[_Outcome]:
        """Halved until only the one that the database refuses gets its error (F7)."""
        try:
            async with asyncio.timeout(STORE_WITHIN.total_seconds()):
                stored = await self._inbox.accept(deliveries, revision=revision)
        except TimeoutError:
            raise DatabaseUnavailable(f"the database does not answer within {STORE_WITHIN}") from None
        except psycopg.Error as error:
            if is_passing(error):
                raise DatabaseUnavailable(f"the database does not take a write: {error}") from error
            if len(deliveries) == 1:
                return [InvalidValue(path="$", reason="is refused by the database")]
            middle = len(deliveries) // 2
            first = await self._accept(deliveries[:middle], revision)
            return [*first, *await self._accept(deliveries[middle:], revision)]
        return [None] * len(deliveries) if stored is None else stored


def _portions(arrived: Sequence[_Arrived], revision: int) -> Iterator[list[int]]:
    """The places of those that are judged by this revision, in portions of bounded number and size."""
    portion: list[int] = []
    size = 0
    for place, one in enumerate(arrived):
        if one.revision != revision:
            continue
        if portion and (len(portion) == MAX_DELIVERIES or size + len(one.delivery.body) > MAX_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(place)
        size += len(one.delivery.body)
    if portion:
        yield portion
