"""Looks for lost events that go on from a time, page after page: all since a bit before it, however much there is.

Each call of a `find` function reads one page. Its cursor is a time as text while no look is under way, else JSON with
the place of the next page: so a burst of any size is read to its end, although looks overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stepwell.core.webhooks import Found, FoundEvent


@dataclass(frozen=True, slots=True)
class Look:
    """Everything of `since` or later. What was met so far is of `latest` at most; `after` is the next page."""

    since: datetime
    latest: datetime
    after: str | None = None

    @classmethod
    def at(cls, cursor: str, *, overlap: timedelta) -> Look:
        """The look that the cursor says. A new one begins `overlap` before the latest of the one before."""
        if cursor.startswith("{"):
            place = json.loads(cursor)
            since, latest = datetime.fromisoformat(place["since"]), datetime.fromisoformat(place["latest"])
            return cls(since, latest, place["after"])
        latest = datetime.fromisoformat(cursor)
        return cls(latest - overlap, latest)

    def found(self, events: Sequence[FoundEvent], moments: Iterable[datetime], *, after: str | None) -> Found:
        """What a page has brought, of these moments; `after` is the place of the next one, None after the last."""
        latest = max([self.latest, *moments])
        if after is None:
            return Found(list(events), latest.isoformat())
        place = {"since": self.since.isoformat(), "latest": latest.isoformat(), "after": after}
        return Found(list(events), json.dumps(place), has_more=True)


def beginning() -> Found:
    """The first look only finds out where to begin: now."""
    return Found(cursor=datetime.now(UTC).isoformat())
