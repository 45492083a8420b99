"""New ids, minted by whoever asks: no round trip, and a repeated request can be recognised."""

from __future__ import annotations

import secrets
import time
from uuid import UUID

from stepwell.core.ids import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7. Its time is only for order; nothing is decided by it."""
    return uuid7(unix_ms=time.time_ns() // 1_000_000, random_bits=secrets.randbits(74))
