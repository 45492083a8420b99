"""Typed events of sample bodies, made as the engine makes them: read and classified by the source, then decoded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from stepwell.codec import codec_for
from stepwell.core.webhooks import Envelope
from stepwell.sources import Request, classify, source_named
from stepwell.sources.verdicts import Refused

SAMPLES = Path(__file__).parents[1] / "samples"

Event = TypeVar("Event")


def envelope_of(source: str, body: bytes, headers: Mapping[str, str] = {}) -> Envelope:
    """What intake reads of a delivery."""
    found = classify(source_named(source), Request.post(headers, body))
    assert not isinstance(found, Refused), found.reason
    return found


def event_of(kind: type[Event], source: str, body: bytes, headers: Mapping[str, str] = {}) -> Event:
    """The event that a workflow annotated with that kind gets, decoded from the stored input."""
    envelope = envelope_of(source, body, headers)
    stored: dict[str, Any] = {
        "delivery": str(UUID(int=1)),
        "source": source,
        "type": envelope.type,
        "connection": "acme",
        "received_at": datetime(2030, 1, 1, tzinfo=UTC).isoformat(),
        "subject": envelope.subject,
        "headers": dict(headers),
        "raw": json.loads(body.removeprefix(b"\xef\xbb\xbf")),
    }
    event: Event = codec_for(kind).decode_text(json.dumps(stored).encode())
    return event
