"""The few fields that are read of a body before the answer, whatever the body may hold.

What only a subject or a tenant needs is read apart (`Raw`), so that its surprises cost nobody a delivery.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from stepwell.core.webhooks import Envelope
from stepwell.sources.request import Request

MAX_TEXT_BYTES = 1_000  # of a type, key, subject or tenant: they are indexed, and an index entry holds 2,704 (F75)
MAX_FORM_FIELDS = 100  # Slack's commands have a dozen

UNTYPED = "untyped"
"""The type of a delivery whose sender names none."""

FORM = "application/x-www-form-urlencoded"

Scalar = str | int | None
NOTHING = msgspec.Raw()

T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"  # Azure DevOps has been seen to send one


def read(decoder: msgspec.json.Decoder[T], text: bytes) -> T | None:
    """What the decoder makes of a JSON text; None if it does not fit, is no JSON, is too deep or no UTF-8 (F68-F71)."""
    try:
        return decoder.decode(text.removeprefix(_BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SCALAR = msgspec.json.Decoder(str | int)


def field(text: bytes, path: str) -> str:
    """The text or whole number at a path such as `data.id`; empty if there is none."""
    for name in path.split("."):
        fields = read(_FIELDS, text)
        if fields is None or name not in fields:
            return ""
        text = bytes(fields[name])
    return written(read(_SCALAR, text))


def written(value: Scalar) -> str:
    """A scalar as a text; nothing for null."""
    return "" if value is None else str(value)


def form(request: Request) -> dict[str, str]:
    """The fields of a form; the last one counts of several with a name. Empty if the body is none."""
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:  # too many fields, or no UTF-8
        return {}
    return dict(pairs)


def envelope(type: str, dedupe_key: str, *, subject: str | None = None, tenant: str | None = None) -> Envelope:
    """An envelope whose texts the database can store and index. An empty tenant is none."""
    return Envelope(
        storable(type),
        storable(dedupe_key),
        None if subject is None else storable(subject),
        storable(tenant) if tenant else None,
    )


def storable(text: str) -> str:
    """The text, or its hash when it is too long or holds what PostgreSQL or UTF-8 has no place for (F68, F75)."""
    encoded = text.encode("utf-8", "surrogatepass")
    is_plain = "\0" not in text and len(encoded) <= MAX_TEXT_BYTES and encoded.decode("utf-8", "replace") == text
    return text if is_plain else hash_of(encoded)


def hash_of(content: bytes) -> str:
    """The identity of bytes that have no other."""
    return f"sha256:{sha256(content).hexdigest()}"
