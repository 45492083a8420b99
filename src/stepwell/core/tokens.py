"""Tokens: who may use the HTTP API, and for what."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from stepwell.core.connections import Secret

PREFIX = "sw_"  # by which a token that was published by mistake is found and known
SECRET_BYTES = 32  # 256 bits: nobody guesses one, so that its plain digest is kept without a salt


class Scope(StrEnum):
    """What a token allows; each allows what stands before it, too."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether it allows what needs that scope."""
        order = tuple(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed; its text is known to nobody but who was given it.

    `last_used_at` is exact to a minute.
    """

    name: str
    scope: Scope
    created_by: str
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_by: str | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, with the text that is shown this once."""

    secret: Secret
    token: Token


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be stored: by the digest of its text."""

    id: UUID
    digest: bytes
    name: str
    scope: Scope
    by: str
    expires_in: timedelta | None = None


class Admission(NamedTuple):
    """What the store says of a token's text: whether there are tokens at all, and which one this is, if it is good."""

    has_tokens: bool
    token: Token | None


def secret_of(randomness: bytes) -> str:
    """The text of a token."""
    return PREFIX + urlsafe_b64encode(randomness).decode().rstrip("=")


def digest_of(secret: str) -> bytes:
    """What is stored of it, and by what it is found: how long a look-up takes says nothing about the text itself."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
