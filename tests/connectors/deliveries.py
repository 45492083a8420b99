"""Typed events of sample bodies, made as the engine makes them: read and classified by the source, then decoded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from stepwell.core.webhooks import Envelope, WebhookEvent
from stepwell.sources import Refused, Request, classify, source_named
from stepwell.testing.vendors import Outgoing, delivered

SAMPLES = Path(__file__).parents[1] / "samples"

Event = TypeVar("Event", bound=WebhookEvent)


def envelope_of(source: str, body: bytes, headers: Mapping[str, str] = {}) -> Envelope:
    """What intake reads of a delivery."""
    found = classify(source_named(source), Request.post(headers, body))
    assert not isinstance(found, Refused), found.reason
    return found


def event_of(kind: type[Event], source: str, body: bytes, headers: Mapping[str, str] = {}) -> Event:
    """The event that a workflow annotated with that kind gets, decoded from the stored input."""
    sent = Outgoing(source, "", "", "https://hooks.example.com", dict(headers), body)
    return delivered(kind, sent, connection="acme")
