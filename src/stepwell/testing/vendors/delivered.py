"""What workflows get of a fake vendor's webhooks, without a server in between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import msgspec

from stepwell.codec import codec_for
from stepwell.core.webhooks import Envelope, WebhookEvent
from stepwell.errors import InvalidOption
from stepwell.sources import Request, classify, source_named, stored_headers
from stepwell.testing.vendors.outgoing import Outgoing

Event = TypeVar("Event", bound=WebhookEvent)

_BOM = b"\xef\xbb\xbf"  # which Azure DevOps has been seen to send


def delivered(kind: type[Event], outgoing: Outgoing, *, connection: str | None = None) -> Event:
    """The event that a workflow whose parameter is annotated with `kind` gets of this webhook.

    `app.start(workflow, delivered(AzureDevOps.WorkItemCreated, fake.outgoing.all[-1]))`. `connection` is the one that
    it has come in for. Raises InvalidOption for what is no webhook of its source, InvalidValue for one that does not
    fit.
    """
    source, request = source_named(outgoing.source), Request.post(outgoing.headers, outgoing.body)
    envelope = classify(source, request)
    if not isinstance(envelope, Envelope):
        raise InvalidOption(f"this is no webhook of {source.name}: {envelope.reason}")
    facts = {
        "delivery": uuid4(),
        "source": source.name,
        "type": envelope.type,
        "connection": connection,
        "received_at": datetime.now(UTC),
        "subject": envelope.subject,
        "headers": stored_headers(source, request),
        "raw": msgspec.Raw(outgoing.body.removeprefix(_BOM)),
    }
    event: Event = codec_for(kind).decode_text(msgspec.json.encode(facts))
    return event
