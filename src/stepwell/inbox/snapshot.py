"""What a process remembers of hooks and endpoints, and what it makes of a request by that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from stepwell.core.webhooks import Endpoint, Envelope, HookSpec
from stepwell.sources import Answer, Refused, Request, Source, Verified, classify, handshake, verify


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The hooks in force and the connections whose deliveries are taken, at a revision of the intake."""

    revision: int
    hooks: tuple[HookSpec, ...]
    endpoints: tuple[Endpoint, ...]

    def endpoints_of(self, source: str, connection: str | None) -> list[Endpoint]:
        """Where a request to this path may belong, by name; without a connection any of the source."""
        found = [one for one in self.endpoints if one.source == source and connection in (None, one.connection)]
        return sorted(found, key=lambda one: one.connection)


@dataclass(frozen=True, slots=True)
class Genuine:
    """A delivery that comes from who it says, with what was read of it."""

    endpoint: Endpoint
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing takes deliveries there."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """It is not taken. `reason` is for the log; the sender is told it only when it `has_proof` of who it is."""

    reason: str
    has_proof: bool = False


Judgement = Genuine | Answer | Unknown | Unproven


def judge(snapshot: Snapshot, source: Source, connection: str | None, request: Request, *, now: datetime) -> Judgement:
    """What becomes of a request."""
    endpoints = snapshot.endpoints_of(source.name, connection)
    if not endpoints:
        return Unknown()
    greeting = (handshake(source, request, one.secrets, settings=one.settings, now=now) for one in endpoints)
    if answer := next(filter(None, greeting), None):
        return answer
    verdicts = [verify(source, request, one.secrets, settings=one.settings, now=now) for one in endpoints]
    proven = [one for one, verdict in zip(endpoints, verdicts, strict=True) if isinstance(verdict, Verified)]
    if not proven:
        return Unproven(next(verdict.reason for verdict in verdicts if isinstance(verdict, Refused)))
    return _read(source, request, proven)


def _read(source: Source, request: Request, proven: Sequence[Endpoint]) -> Genuine | Unproven:
    """Of several that share a secret it is the one whose tenant the delivery names, else the first."""
    read = [(one, classify(source, request, settings=one.settings)) for one in proven]
    genuine = [Genuine(one, envelope) for one, envelope in read if isinstance(envelope, Envelope)]
    if not genuine:
        return Unproven(next(verdict.reason for _, verdict in read if isinstance(verdict, Refused)), has_proof=True)
    return next(_of_tenant(genuine), genuine[0])


def _of_tenant(genuine: Iterable[Genuine]) -> Iterator[Genuine]:
    return (one for one in genuine if one.endpoint.tenant is not None and one.endpoint.tenant == one.envelope.tenant)
