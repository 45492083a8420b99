"""Ids: UUIDv7 (RFC 9562, section 5.7), so that the order of ids is the order of time and indexes grow at one end."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID


def uuid7(*, unix_ms: int, random_bits: int) -> UUID:
    """The UUIDv7 of a moment (milliseconds since 1970) and 74 random bits."""
    high = random_bits >> 62 & 0xFFF
    low = random_bits & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(unix_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def time_of(identity: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC)
