"""Slack: signed with a timestamp, JSON for events and forms for commands, three seconds, a challenge to begin with.

Sources: docs.slack.dev/authentication/verifying-requests-from-slack, docs.slack.dev/apis/events-api;
github.com/slackapi/python-slack-sdk, slack_sdk/signature.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources.digests import HmacDigest
from stepwell.sources.reading import FORM, NOTHING, Scalar, envelope, form, hash_of, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import Retries, Source, always, regardless, seconds
from stepwell.sources.verdicts import Answer, Refused


class _Outer(Struct):
    """An event in its wrapping, or something else with a type."""

    type: str = ""
    event_id: Scalar = None
    team_id: Scalar = None
    challenge: str | None = None
    event: Raw = NOTHING


class _Typed(Struct):
    type: str = ""


class _Team(Struct):
    id: Scalar = None


class _Interaction(Struct):
    """What a button, a menu or a dialogue sends."""

    type: str = ""
    trigger_id: Scalar = None
    team: Raw = NOTHING


_OUTER, _TYPED, _INTERACTION, _TEAM = Decoder(_Outer), Decoder(_Typed), Decoder(_Interaction), Decoder(_Team)


def classify(request: Request) -> Envelope | Refused:
    if request.media_type == FORM:
        return _classify_form(request)
    outer = read(_OUTER, request.body)
    if outer is None or not outer.type:
        return Refused("the body is no event of Slack: it has no type")
    inner = read(_TYPED, bytes(outer.event))
    type = inner.type if inner and inner.type else outer.type
    return envelope(type, written(outer.event_id) or hash_of(request.body), tenant=written(outer.team_id))


def _classify_form(request: Request) -> Envelope | Refused:
    """A slash command (`command/deploy`), or an interaction (`interaction/block_actions`)."""
    fields = form(request)
    if command := fields.get("command"):
        key = fields.get("trigger_id") or hash_of(request.body)
        return envelope(f"command/{command.removeprefix('/')}", key, tenant=fields.get("team_id"))
    interaction = read(_INTERACTION, fields.get("payload", "").encode("utf-8", "replace"))
    if interaction is None or not interaction.type:
        return Refused("the form is neither a command nor an interaction of Slack")
    team = read(_TEAM, bytes(interaction.team))
    key = written(interaction.trigger_id) or hash_of(request.body)
    return envelope(f"interaction/{interaction.type}", key, tenant=written(team.id) if team else None)


def handshake(request: Request) -> Answer | None:
    """The challenge that Slack sends when an address is entered there."""
    outer = read(_OUTER, request.body)
    if outer is None or outer.type != "url_verification" or outer.challenge is None:
        return None
    body = msgspec.json.encode({"challenge": outer.challenge})
    return Answer(200, {"Content-Type": "application/json"}, body)


SLACK = Source(
    "slack",
    always(
        Signature(
            ("X-Slack-Signature",),
            (HmacDigest(prefix=b"v0="),),
            "the app's signing secret",
            before_body="v0:{timestamp}:",
            timestamp_header="X-Slack-Request-Timestamp",
        )
    ),
    regardless(classify),
    handshake=regardless(handshake),
    answer_within=timedelta(seconds=3),
    retries=Retries(seconds(0, 60, 300)),
)
