"""What a look at the vendor has found that a webhook should have told."""

from __future__ import annotations

from dataclasses import dataclass, field

from stepwell.core.webhooks import Envelope


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event as its webhook would have brought it: a typed event reads the `body`, and `envelope.subject` is the
    one that the webhook's classification gives, so that both together start one execution."""

    envelope: Envelope
    body: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """Events since a cursor, oldest first, and the cursor to go on from. `has_more`: look again at once.

    A cursor is a text that only its connector reads. Looks overlap, since vendors' clocks and indexes lag: what is
    found twice has the same subject and dedupe key.
    """

    events: list[FoundEvent] = field(default_factory=list)
    cursor: str = ""
    has_more: bool = False
