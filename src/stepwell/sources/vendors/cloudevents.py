"""CloudEvents 1.0 over HTTP: a token; attributes in headers (binary) or the body (structured); OPTIONS asks for leave.

Sources: github.com/cloudevents/spec, cloudevents/http-webhook.md and cloudevents/bindings/http-protocol-binding.md.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from msgspec import Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources.reading import envelope, read
from stepwell.sources.request import Request
from stepwell.sources.schemes import Bearer
from stepwell.sources.source import Retries, Setting, Settings, Source, always, regardless, seconds
from stepwell.sources.verdicts import Answer, Refused

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
ORIGIN = "WebHook-Request-Origin"

_ECHOED = re.compile(r"[!-~]{1,253}")  # the name of a host: nothing that could begin another header


class _Event(Struct):
    id: str = ""
    source: str = ""
    type: str = ""


_EVENT = Decoder(_Event)


def classify(request: Request) -> Envelope | Refused:
    """Source and id together name an event (section 3.1 of the core specification)."""
    if request.media_type == BATCH:
        return Refused("a batch of events is not taken: set the subscription to send them one by one")
    event = read(_EVENT, request.body) if request.media_type == STRUCTURED else _of_headers(request)
    if event is None or not (event.id and event.source and event.type):
        return Refused("this is no CloudEvent: id, source and type are needed, in ce- headers or in the body")
    return envelope(event.type, f"{event.source} {event.id}", tenant=event.source)


def _of_headers(request: Request) -> _Event:
    """Binary mode: what is no printable ASCII is percent-encoded."""
    id, source, type = (unquote(request.header(f"ce-{name}") or "") for name in ("id", "source", "type"))
    return _Event(id, source, type)


def handshake(request: Request, settings: Settings) -> Answer | None:
    """Whether an origin may send here, and how much: a sender asks before its first delivery."""
    origin = request.header(ORIGIN) or ""
    if request.method != "OPTIONS" or not _ECHOED.fullmatch(origin):
        return None
    allowed = settings.get("hook_origins", "*").split()
    if "*" not in allowed and origin not in allowed:
        return Answer(403)
    permission = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": settings.get("hook_rate", "*")}
    return Answer(200, {"Allow": "POST, OPTIONS", **permission})


CLOUDEVENTS = Source(
    "cloudevents",
    always(Bearer(b"access_token")),
    regardless(classify),
    settings=(
        Setting(
            "hook_origins", "who may send, separated by blanks, such as eventgrid.azure.net", r"[!-~]+( [!-~]+)*", "*"
        ),
        Setting(
            "hook_rate",
            "deliveries in a minute that a sender is told to keep to; * for any",
            r"\*|[1-9][0-9]{0,8}",
            "*",
        ),
    ),
    handshake=handshake,
    is_handshake_open=True,
    content_type=STRUCTURED,
    retries=Retries(seconds(1, 5, 30, 120, 600)),  # the specification leaves it to senders
)
