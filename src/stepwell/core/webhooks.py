"""Deliveries of webhooks: what comes in, what is read of it before the answer, and what it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol
from uuid import UUID

from stepwell.core.dispatching import matches
from stepwell.core.model import ExecutionId, NewExecution

MAX_KEY_BYTES = 1_000  # an index entry holds 2,704, the workflow's name with it


@dataclass(frozen=True)
class WebhookEvent:
    """A delivery, as the workflow that it starts gets to see it.

    `raw` is the body: what its JSON decodes to, or text, or {"base64": ...} when it is neither. `subject` is what the
    event is about, the same however the vendor tells of it; None where nobody can know. Connectors have subclasses with
    a typed `payload`.
    """

    delivery: UUID
    source: str
    type: str
    connection: str | None
    received_at: datetime
    subject: str | None
    headers: dict[str, str]
    raw: Any


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is read of a delivery before the answer.

    `dedupe_key` is the vendor's identity of the delivery, `subject` that of the event, `tenant` that of the account.
    """

    type: str
    dedupe_key: str
    subject: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A connection whose deliveries are taken: the `secrets` that prove them, any of which will do.

    `tenant` is the vendor's name of the account, as deliveries carry it; `settings` are those of the connection, which
    say how its source is verified where the source leaves that open.
    """

    connection: str
    source: str
    secrets: tuple[bytes, ...] = field(repr=False)
    tenant: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


class Endpoints(Protocol):
    """Where the secrets that prove deliveries come from.

    Whoever changes what the answer would be lets the intake's revision grow in the same statement, so that a process
    that remembers an older answer takes nothing more by it.
    """

    async def endpoints(self) -> Sequence[Endpoint]:
        """All connections whose deliveries are taken, as they are now. Raises DatabaseUnavailable."""


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event as its webhook would have brought it: a typed event reads the `body`.

    `envelope.subject` is the one that the webhook's classification gives, so that both together start one execution.
    """

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


@dataclass(frozen=True, slots=True)
class HookSpec:
    """A webhook trigger as the code declares it, and as the process that takes deliveries knows it.

    In `types`, `*` stands for any text. `parameter` is the workflow's parameter that gets the WebhookEvent, if any.
    """

    id: str
    workflow: str
    queue: str
    parameter: str | None
    source: str
    types: tuple[str, ...]
    connection: str | None = None

    def takes(self, source: str, connection: str | None, type: str) -> bool:
        """Whether it starts an execution for such a delivery."""
        is_from_there = self.source == source and self.connection in (None, connection)
        return is_from_there and any(matches(pattern, type) for pattern in self.types)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A verified delivery, with the executions that it starts. `headers` are those that are no secrets."""

    id: UUID
    source: str
    connection: str | None
    envelope: Envelope
    headers: Mapping[str, str]
    body: bytes
    starts: tuple[NewExecution, ...] = ()
    is_reconciled: bool = False  # found by asking the vendor, not sent by it


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a delivery: the one that is stored under its key, and the executions it has started."""

    id: UUID
    executions: tuple[ExecutionId, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored delivery."""

    id: UUID
    received_at: datetime
    source: str
    connection: str | None
    type: str
    dedupe_key: str
    subject: str | None
    executions: tuple[ExecutionId, ...]
    duplicates: int
    is_reconciled: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are meant: those to which all of it applies."""

    source: str | None = None
    connection: str | None = None
    type: str | None = None
    is_reconciled: bool | None = None

    def takes(self, one: Delivery) -> bool:
        """Whether it is one of them."""
        wanted = (self.source, self.connection, self.type, self.is_reconciled)
        given = (one.source, one.connection, one.type, one.is_reconciled)
        return all(is_meant is None or is_meant == is_so for is_meant, is_so in zip(wanted, given, strict=True))


def execution_key(source: str, connection: str | None, envelope: Envelope) -> str:
    """The key of the executions that a delivery starts: whichever way an event comes, a workflow has one for it."""
    text = f"webhook:{source}:{connection or ''}:{envelope.subject or envelope.dedupe_key}"
    return text if len(text.encode()) <= MAX_KEY_BYTES else f"webhook:{blake2b(text.encode()).hexdigest()}"
