"""Where events go: the addresses of topics, and the places in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from stepwell.core.model import Look

NOBODY = ""  # sent with neither a key nor an execution: only triggers see it


def address(*, key: str | None = None, execution_id: UUID | None = None) -> str:
    """The address of a key or of an execution's own topic. The prefixes keep any key apart from any id (F67)."""
    if key is not None:
        return f"k:{key}"
    return NOBODY if execution_id is None else f"x:{execution_id}"


def execution_of(address: str) -> UUID | None:
    """The execution whose own address it is."""
    return UUID(address[2:]) if address.startswith("x:") else None


def key_of(address: str) -> str | None:
    """The key whose address it is."""
    return address[2:] if address.startswith("k:") else None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number_at(time: datetime) -> int:
    """The number of an event that is sent just then: places go by the clock, so that they grow whatever is removed."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def sent_at(number: int) -> datetime:
    """When the event with this number was accepted."""
    return _EPOCH + timedelta(microseconds=number)


def first_after(look: Look) -> int:
    """The event that is looked for comes after this number."""
    return max(look.position, number_at(look.since) - 1)
