"""Times that programs give: each says which moment it is."""

from __future__ import annotations

from datetime import UTC, datetime

from stepwell.errors import InvalidOption


def aware(name: str, at: datetime) -> datetime:
    """The same time in UTC. Raises InvalidOption unless it is one that says its zone, and UTC has it."""
    if not isinstance(at, datetime):
        raise InvalidOption(f"'{name}': {at!r:.100} is no datetime; give one with a time zone")
    if at.utcoffset() is None:
        raise InvalidOption(f"'{name}': {at!r} has no time zone; say which, as in datetime.now(UTC)")
    try:
        return at.astimezone(UTC)
    except OverflowError:  # year 0 or 10,000, seen from another zone (F78)
        raise InvalidOption(f"'{name}': {at.isoformat()} is no time in UTC") from None
