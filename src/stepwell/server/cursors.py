"""Cursors: where the next page of a listing begins. What they say is nobody's business but ours."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from stepwell.server.problems import invalid

MAX_LENGTH = 4_000

T = TypeVar("T")


class _Cursor(msgspec.Struct, array_like=True):
    of: bytes  # which listing: a cursor of one is none of another
    place: msgspec.Raw


def cursor_after(place: object, *, of: object) -> str:
    """The cursor that goes on after this place of the listing `of` (its name and its filters)."""
    cursor = _Cursor(_digest(of), msgspec.Raw(msgspec.json.encode(place)))
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def page_of(
    found: Sequence[T], place: Callable[[T], object], *, limit: int, of: object
) -> tuple[Sequence[T], str | None]:
    """At most `limit` of what was found, and the cursor of the next page if that is not all: ask for one more."""
    page = found[:limit]
    return page, cursor_after(place(page[-1]), of=of) if len(found) > limit else None


def place_of(cursor: str | UnsetType, kind: type[T], *, of: object) -> T | None:
    """The place to go on after; None for the first page. Raises Refusal for what is no cursor of this listing."""
    if cursor is UNSET:
        return None
    try:
        text = urlsafe_b64decode(cursor[:MAX_LENGTH] + "=" * (-len(cursor) % 4))
        known = msgspec.json.decode(text, type=_Cursor)
        place = msgspec.json.decode(known.place, type=kind)
    except (ValueError, msgspec.MsgspecError):
        raise invalid([("query.cursor", "is no cursor; leave it out to begin with the first page")]) from None
    if known.of != _digest(of):
        raise invalid([("query.cursor", "is of another listing; give the same filters with it, or leave it out")])
    return place


def _digest(of: Any) -> bytes:
    return blake2b(msgspec.json.encode(of, order="deterministic"), digest_size=6).digest()
