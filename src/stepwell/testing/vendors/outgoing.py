"""Webhooks that a fake vendor has to send: kept here, and taken by whoever sends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


def _unheard(_status: int | None, _attempts: int) -> None:
    """For vendors that keep no history."""


@dataclass(frozen=True)
class Outgoing:
    """One webhook, ready to be sent: to `url`, with these headers and this body, the same at every attempt.

    `id` is the vendor's identity of the delivery. `answered` is told the last status, None for no answer, and the
    number of attempts.
    """

    source: str
    type: str
    id: str
    url: str
    headers: dict[str, str]
    body: bytes
    answered: Callable[[int | None, int], None] = _unheard


class Sender(Protocol):
    """Whoever sends them, and can be told to do it badly."""

    def take(self, outgoing: Outgoing) -> None:
        """There is one to send."""

    def duplicate(self, times: int = 1) -> None:
        """Send each of the next `times` webhooks twice."""

    def reorder(self, count: int = 2) -> None:
        """Send the next `count` webhooks the last one first."""

    def lose(self, times: int = 1) -> None:
        """Never send the next `times` webhooks."""


class Outbox:
    """Everything that was to be sent, oldest first, and who is told of it at once."""

    def __init__(self) -> None:
        self.all: list[Outgoing] = []
        self.senders: list[Sender] = []

    def put(self, outgoing: Outgoing) -> None:
        """There is one more to send."""
        self.all.append(outgoing)
        for sender in self.senders:
            sender.take(outgoing)
