"""What is answered about a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verified:
    """The request comes from who it says. `secret_index` is the place of the secret that proved it."""

    secret_index: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is not taken. `reason` is for people, and quotes nothing of a secret."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handshake is answered with."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
