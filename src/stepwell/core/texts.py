"""Texts that are stored: keys, tags, reasons."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stepwell.errors import InvalidOption

MAX_KEY_LENGTH = 500  # characters
MAX_KEY_BYTES = 1_800  # an index entry holds 2,704, and a workflow's name takes up to 800 of them
MAX_TAGS = 50


def checked_text(option: str, value: str) -> str:
    """Text that the database can store and index. Raises InvalidOption."""
    size = text_bytes(option, value)
    if not value or len(value) > MAX_KEY_LENGTH or size > MAX_KEY_BYTES or "\0" in value:
        limits = f"1 to {MAX_KEY_LENGTH} characters in {MAX_KEY_BYTES:,} bytes"
        raise InvalidOption(f"{option} {value!r:.100}: use {limits}, without NUL")
    return value


def text_bytes(option: str, value: object) -> int:
    """How many bytes the text takes. Raises InvalidOption for what is none, or none that can be encoded."""
    if not isinstance(value, str):
        raise InvalidOption(f"{option} {value!r:.100} is no text")
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise InvalidOption(f"{option} {value!r:.100} has a lone surrogate, which is no character") from None


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags that the database can store and index, each in one line. Raises InvalidOption."""
    if isinstance(tags, str) or not isinstance(tags, Collection):
        raise InvalidOption(f"tags is {tags!r:.100}; give a list of texts")
    if len(tags) > MAX_TAGS:
        raise InvalidOption(f"{len(tags)} tags are too many, use at most {MAX_TAGS}")
    for tag in tags:
        if "\n" in checked_text("tag", tag):
            raise InvalidOption(f"tag {tag!r:.100}: use one line")
    return tuple(tags)
