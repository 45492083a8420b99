"""What a value looks like at rest: JSON text, compressed when it is long, never too large and never too deep.

JSON text begins with a printable byte; a compressed payload begins with the byte 0x01, so each says what it is.
"""

from __future__ import annotations

import json
import zlib
from itertools import accumulate
from typing import NamedTuple

from stepwell.errors import InvalidValue, PayloadTooLarge

PAYLOAD_LIMIT_BYTES = 1024 * 1024
"""Most bytes a stored value may take. A claim loads every checkpoint of an execution into memory."""

TEXT_LIMIT_BYTES = 16 * PAYLOAD_LIMIT_BYTES
"""Most bytes of JSON text, whatever it compresses to: no stored value can blow up a worker that reads it."""

WRAPPING_BYTES = 16 * 1024
"""What the outcome of a wait may take beyond its payload: which event it was, and what compresses worse with it."""

COMPRESS_ABOVE_BYTES = 64 * 1024
"""Below this, compression costs more time than the bytes it saves."""

MAX_DEPTH = 100
"""Levels of nesting. Not every Python can read 1,000 of them back, and no honest value comes near 100."""

_COMPRESSED = b"\x01"
_FASTEST = 1  # level 6 takes four times as long for a tenth fewer bytes


def pack(text: bytes, *, extra_bytes: int = 0) -> bytes:
    """The bytes to store for a JSON text. `PayloadTooLarge` when they, or the text, are above the limit.

    `extra_bytes` are allowed beyond it, for what the engine wraps around a value that was within it.
    """
    size = len(text)
    if size <= COMPRESS_ABOVE_BYTES:
        return text
    if size > TEXT_LIMIT_BYTES + extra_bytes:
        raise PayloadTooLarge(size_bytes=size, limit_bytes=TEXT_LIMIT_BYTES)
    packed = min(text, _COMPRESSED + zlib.compress(text, _FASTEST), key=len)
    if len(packed) > PAYLOAD_LIMIT_BYTES + extra_bytes:
        raise PayloadTooLarge(size_bytes=len(packed), limit_bytes=PAYLOAD_LIMIT_BYTES)
    return packed


def unpack(data: bytes) -> bytes:
    """The JSON text of stored bytes. Takes bounded memory, also when the bytes were made to expand without end."""
    if not data.startswith(_COMPRESSED):
        return data
    limit_bytes = TEXT_LIMIT_BYTES + WRAPPING_BYTES
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(memoryview(data)[1:], limit_bytes + 1)
    except zlib.error as error:
        raise InvalidValue(path="$", reason=f"is stored damaged: {error}") from error
    if len(text) > limit_bytes:
        raise PayloadTooLarge(size_bytes=len(text), limit_bytes=limit_bytes)
    if not inflater.eof or inflater.unused_data:
        raise InvalidValue(path="$", reason="is stored damaged: it does not end where it should")
    return text


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two payloads hold the same JSON: the order of an object's keys says nothing, each digit of a number does.

    A number is compared as it is written, so that none passes through a float and 1 is neither 1.0 nor true.
    """
    return one == other or _meaning(one) == _meaning(other)


def _meaning(data: bytes) -> object:
    return json.loads(unpack(data), parse_int=_Number, parse_float=_Number)


class _Number(NamedTuple):
    digits: str


def refuse_deep(text: bytes) -> None:
    """Raise InvalidValue for JSON text nested too deep, before a recursive reader meets it."""
    brackets = text.count(b"{") + text.count(b"[")  # most texts have few, and are not looked at more closely
    if brackets > MAX_DEPTH and depth_of(text) > MAX_DEPTH:
        raise InvalidValue(path="$", reason=f"is nested deeper than {MAX_DEPTH} levels; flatten it")


def depth_of(text: bytes) -> int:
    """How many levels deep a JSON text is nested, found without recursion; of other text, some number."""
    unescaped = text.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_strings.translate(None, delete=_NOT_BRACKETS)
    return max(accumulate(map(_LEVEL_CHANGE.__getitem__, brackets)), default=0)


_LEVEL_CHANGE = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - _LEVEL_CHANGE.keys())
