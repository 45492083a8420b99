"""Callbacks: URLs that answer a wait. What is stored of one, and how its URL proves itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from stepwell.core.model import ExecutionId

PATH = "/callbacks/"  # of the server, before the token
PURPOSE = "stepwell callbacks 1"  # what the key that signs tokens is derived for

_ID_LENGTH, _MAC_LENGTH = 22, 43  # of 16 and 32 bytes, in base64 without padding
_MAX_LENGTH = 120


class NewCallback(NamedTuple):
    """A callback to be opened, unless it is open: its id depends on the execution and the call alone."""

    id: UUID
    execution_id: ExecutionId
    key: str  # of the durable call
    name: str  # of the event that its answer is
    prompt: str | None
    schema: bytes  # JSON Schema of the answer
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as it is now. `has_ended`: its execution has, or was removed."""

    id: UUID
    execution_id: ExecutionId
    key: str
    name: str
    prompt: str | None
    schema: bytes
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    answered_by: str | None
    has_ended: bool


@dataclass(frozen=True, slots=True)
class CallbackInfo:
    """A callback that can be answered, for operators. Whoever has its `url` can answer it."""

    execution_id: ExecutionId
    name: str
    prompt: str | None
    created_at: datetime
    expires_at: datetime
    url: str = field(repr=False)


class Token(NamedTuple):
    """What a URL carries: which callback it answers, and the proof."""

    callback: UUID
    key_id: str
    mac: bytes

    def is_signed_by(self, key: bytes) -> bool:
        """Whether this key has signed it. Takes the same time for every wrong proof."""
        return hmac.compare_digest(self.mac, _mac(self.callback, self.key_id, key))


def token_for(callback: UUID, key_id: str, key: bytes) -> str:
    """The text that only a holder of the key can make, the same each time: `<id>.<key id>.<HMAC-SHA256>`."""
    return f"{_text(callback.bytes)}.{key_id}.{_text(_mac(callback, key_id, key))}"


def read_token(text: str) -> Token | None:
    """What such a text says; nothing of it is proved yet. None: it is no token."""
    head, tail = text[:_ID_LENGTH], text[-_MAC_LENGTH:]
    key_id = text[_ID_LENGTH + 1 : -_MAC_LENGTH - 1]
    if len(text) > _MAX_LENGTH or not key_id or text != f"{head}.{key_id}.{tail}":
        return None
    callback, mac = _bytes(head), _bytes(tail)
    return Token(UUID(bytes=callback), key_id, mac) if callback and mac else None


def _mac(callback: UUID, key_id: str, key: bytes) -> bytes:
    return hmac.digest(key, callback.bytes + key_id.encode("utf-8", "replace"), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    """What was encoded; None unless this is exactly how it would be written."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _text(data) == text else None
