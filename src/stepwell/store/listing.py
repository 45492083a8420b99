"""Listings on PostgreSQL: the newest are looked at first, and what is rarer than that is asked of an index.

One connection plans for all values alike and reads lanes in order; on the other each plan is made for the values at
hand. `docs/decisions/0018` has the reasons and the figures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from stepwell.core.ids import time_of
from stepwell.core.model import Execution, Filter
from stepwell.core.search import (
    FIRST_ID,
    LOOK_ROWS,
    SHORT_WORD,
    Piece,
    Place,
    further,
    ids_like,
    is_plain,
    is_pointed,
    patterns_of,
    sought_words,
    words_of,
)
from stepwell.core.status import Status
from stepwell.store import binary, rows
from stepwell.store.wire import Rows

Read = Callable[..., Awaitable[Rows]]
ReadBack = Callable[[Place, datetime | None, int], Awaitable[list[Execution]]]  # from where, down to when, how many

FIRST_LOOK = 100  # executions of each lane: most pages are full with them
LAST_ID = UUID(int=2**128 - 1)
NEWEST = Place(datetime.max.replace(tzinfo=UTC), LAST_ID)


class Listings:
    """`in_order` runs statements with one plan for all values, `by_value` with plans for those at hand."""

    def __init__(self, in_order: Read, by_value: Read) -> None:
        self._in_order, self._by_value = in_order, by_value

    async def page(self, which: Filter, limit: int) -> list[Execution]:
        """As Reader.list."""
        place = await self._place(which)
        if is_plain(which):
            return (await self._newest(which, place, look=limit, limit=limit))[0]
        if which.text is not None:
            return await self._search(which, which.text, place, limit)
        if is_pointed(which):
            return await self._found(which, place, None, limit)
        page, piece = await self._newest(which, place, look=min(limit, FIRST_LOOK), limit=limit)
        return await self._fill(page, piece, limit, partial(self._found, which))

    async def count(self, which: Filter) -> dict[Status, int]:
        """As Reader.count."""
        counts = dict.fromkeys(Status, 0)
        conditions = filter_parameters(which)
        if which.text is None:
            found = await self._by_value("count", *conditions)
        else:
            bounds = [*_place(NEWEST), binary.MINUS_INFINITY]
            found = await self._by_value("count_found", *conditions, *bounds, _query(sought_words(which.text)))
        counts.update({Status(status): number for status, number in found})
        return counts

    async def _place(self, which: Filter) -> Place:
        """Where the page begins: what ended before a time was created before it, too."""
        bounds = [bound for bound in (which.created_before, which.finished_before) if bound is not None]
        places = [NEWEST, *(Place(bound, FIRST_ID) for bound in bounds)]
        if which.before is not None:
            found = await self._in_order("place", which.before.bytes)
            # one that retention has removed since says itself when it was made
            places.append(Place(found[0][0] if found else time_of(which.before), which.before))
        return min(places)

    async def _newest(self, which: Filter, place: Place, *, look: int, limit: int) -> tuple[list[Execution], Piece]:
        bounds = [*_place(place), _floor(which), binary.int4(look), binary.int4(limit)]
        found = await self._in_order("newest", *filter_parameters(which), *bounds)
        looked_at, newest_at, at, identity = found[0][:4]
        piece = Piece(looked_at, newest_at, Place(at, identity) if identity is not None else None)
        return [rows.execution_of(row[4:]) for row in found if row[4] is not None], piece

    async def _found(self, which: Filter, place: Place, since: datetime | None, limit: int) -> list[Execution]:
        bounds = [*_place(place), _floor(which, since), binary.int4(limit)]
        found = await self._by_value("found", *filter_parameters(which), *bounds)
        return [rows.execution_of(row) for row in found]

    async def _search(self, which: Filter, text: str, place: Place, limit: int) -> list[Execution]:
        conditions, sought, all_words = filter_parameters(which), _query(sought_words(text)), _query(words_of(text))
        newest = [*_place(place), _floor(which), all_words, binary.int4(limit), binary.int4(LOOK_ROWS)]
        found = await self._by_value("search_newest", *conditions, *newest)
        page = [rows.execution_of(row[2:]) for row in found if row[2] is not None]
        newest_at, reached = found[0][:2]
        # of that time itself nothing is on the page; more than it looks at may have been created where the page begins
        begun = min(place, Place(reached, LAST_ID)) if reached is not None else None
        piece = Piece(LOOK_ROWS, newest_at, begun)

        async def rest(place: Place, since: datetime | None, limit: int) -> list[Execution]:
            bounds = [*_place(place), _floor(which, since), sought, binary.int4(limit), all_words]
            return [rows.execution_of(row) for row in await self._by_value("search", *conditions, *bounds)]

        return await self._fill(page, piece, limit, rest)

    async def _fill(self, page: list[Execution], piece: Piece, limit: int, read: ReadBack) -> list[Execution]:
        """The page, filled with what is older than the piece: first with what is near, then from as far as it goes."""
        for is_last in (False, False, True):
            if len(page) == limit or piece.reached is None:
                break
            begun, missing = piece.reached, limit - len(page)
            piece = piece.to_the_end() if is_last else further(piece, found=len(page), missing=missing)
            page += await read(begun, piece.reached.created_at if piece.reached else None, missing)
        return page


def filter_parameters(which: Filter) -> list[bytes | None]:
    """$1 to $12 of every statement that takes a filter: see `sql/parts/matches.sql`."""
    first, last = (ids_like(which.text) if which.text is not None else None) or (None, None)
    return [
        binary.texts(which.statuses),
        binary.maybe_text(which.workflow),
        binary.maybe_text(which.key),
        binary.texts(which.tags),
        which.parent.bytes if which.parent is not None else None,
        binary.maybe_timestamptz(which.created_after),
        binary.maybe_timestamptz(which.created_before),
        binary.maybe_timestamptz(which.finished_after),
        binary.maybe_timestamptz(which.finished_before),
        binary.texts(patterns_of(which.text) if which.text is not None else ()),
        first.bytes if first is not None else None,
        last.bytes if last is not None else None,
    ]


def _place(place: Place) -> Sequence[bytes]:
    return binary.timestamptz(place.created_at), place.id.bytes


def _floor(which: Filter, since: datetime | None = None) -> bytes:
    """What is older than this is not looked at."""
    floors = [floor for floor in (since, which.created_after) if floor is not None]
    return binary.timestamptz(max(floors)) if floors else binary.MINUS_INFINITY


def _query(words: Sequence[str]) -> bytes:
    """The words as PostgreSQL's full text search asks for them. No word holds a quote: quotes part words."""
    return " & ".join(f"'{word}'{'' if len(word) < SHORT_WORD else ':*'}" for word in words).encode()
