"""Stored payloads as parts of JSON documents."""

from __future__ import annotations

from typing import Any

import msgspec

from stepwell.codec import codec_for
from stepwell.core.payload import pack, unpack
from stepwell.errors import InvalidValue

NULL = msgspec.Raw(b"null")


def as_json(data: bytes | None) -> msgspec.Raw:
    """A stored payload as a part of a JSON document, unchanged to the digit; null for none.

    One that is damaged is `{"unreadable": "why"}`.
    """
    if data is None:
        return NULL
    try:
        return msgspec.Raw(json_text(data))
    except InvalidValue as error:
        return msgspec.Raw(msgspec.json.encode({"unreadable": error.reason}))


def to_store(text: bytes, *, where: str) -> bytes:
    """The bytes to store for JSON text from outside, kept to the digit. Raises InvalidValue, which names `where`."""
    try:
        codec_for(Any).decode_text(text)
        return pack(msgspec.json.format(text, indent=-1))
    except InvalidValue as error:
        raise error.at(where) from error


def json_text(data: bytes) -> bytes:
    """The JSON text of a stored payload. Raises InvalidValue when it is damaged."""
    text = unpack(data)
    codec_for(Any).decode_text(text)
    return text
