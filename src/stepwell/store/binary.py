"""PostgreSQL's binary form of parameters.

The flush sends five arrays per kind of row and up to thousands of elements in each. Encoding them here, with nothing
but joins, takes a quarter of the time of a general adapter. Format: PostgreSQL documentation, "Message Data Types",
and each type's send function. Every parameter of our statements carries an explicit cast, so its type is known.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NULL = b"\xff\xff\xff\xff"

# type oids: PostgreSQL source, pg_type.dat; they never change
_BOOL, _BYTEA, _INT8, _INT4, _TEXT, _FLOAT8, _TIMESTAMPTZ, _UUID = 16, 17, 20, 23, 25, 701, 1184, 2950

MINUS_INFINITY = b"\x80\0\0\0\0\0\0\0"  # as timestamptz: before any time

_int4 = struct.Struct(">i").pack
_int8 = struct.Struct(">q").pack
_float8 = struct.Struct(">d").pack
_array_header = struct.Struct(">iiIii").pack  # dimensions, has nulls, element type, length, lower bound
_length = struct.Struct(">I").pack


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def int4(value: int) -> bytes:
    return _int4(value)


def int8(value: int) -> bytes:
    return _int8(value)


def float8(value: float) -> bytes:
    return _float8(value)


def maybe_text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def timestamptz(value: datetime) -> bytes:
    since = value - _EPOCH
    return _int8((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def maybe_timestamptz(value: datetime | None) -> bytes | None:
    return None if value is None else timestamptz(value)


def texts(values: Iterable[str | None]) -> bytes:
    return _array(_TEXT, [None if value is None else value.encode() for value in values])


def byteas(values: Iterable[bytes | None]) -> bytes:
    return _array(_BYTEA, list(values))


def uuids(values: Iterable[UUID]) -> bytes:
    return _fixed(_UUID, b"\x00\x00\x00\x10", [value.bytes for value in values])


def maybe_uuids(values: Iterable[UUID | None]) -> bytes:
    return _array(_UUID, [None if value is None else value.bytes for value in values])


def int4s(values: Iterable[int]) -> bytes:
    return _fixed(_INT4, b"\x00\x00\x00\x04", [_int4(value) for value in values])


def int8s(values: Iterable[int]) -> bytes:
    return _fixed(_INT8, b"\x00\x00\x00\x08", [_int8(value) for value in values])


def float8s(values: Iterable[float]) -> bytes:
    return _fixed(_FLOAT8, b"\x00\x00\x00\x08", [_float8(value) for value in values])


def booleans(values: Iterable[bool]) -> bytes:
    return _fixed(_BOOL, b"\x00\x00\x00\x01", [b"\x01" if value else b"\x00" for value in values])


def timestamptzs(values: Iterable[datetime | None]) -> bytes:
    return _array(_TIMESTAMPTZ, [None if value is None else timestamptz(value) for value in values])


def _array(element_type: int, items: Sequence[bytes | None]) -> bytes:
    if not items:
        return _array_header(0, 0, element_type, 0, 1)[:12]
    body = b"".join([_NULL if item is None else _length(len(item)) + item for item in items])
    return _array_header(1, int(None in items), element_type, len(items), 1) + body


def _fixed(element_type: int, length: bytes, items: Sequence[bytes]) -> bytes:
    """An array whose elements all have one length: that length is also the separator."""
    if not items:
        return _array_header(0, 0, element_type, 0, 1)[:12]
    return _array_header(1, 0, element_type, len(items), 1) + length + length.join(items)
