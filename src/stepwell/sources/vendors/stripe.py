"""Stripe: signed with a timestamp, at most three days of retries, in no order.

Sources: docs.stripe.com/webhooks; github.com/stripe/stripe-python, stripe/_webhook.py.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources.digests import HmacDigest
from stepwell.sources.reading import Scalar, envelope, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import Retries, Source, always, regardless, seconds
from stepwell.sources.verdicts import Refused

_HOUR = 3600


class _Event(Struct):
    """An event, or the notification of a thin one (`object: v2.core.event`): both have an id and a type."""

    id: str = ""
    type: str = ""
    account: Scalar = None


_EVENT = Decoder(_Event)


def classify(request: Request) -> Envelope | Refused:
    """The event's id is also what a poll finds it by, so it needs no other subject."""
    event = read(_EVENT, request.body)
    if event is None or not event.id or not event.type:
        return Refused("the body is no event of Stripe: it has no id or no type")
    return envelope(event.type, event.id, tenant=written(event.account))


STRIPE = Source(
    "stripe",
    always(
        Signature(
            ("Stripe-Signature",),
            (HmacDigest(prefix=b"v1="),),
            "the endpoint's whole whsec_... text",
            separator=b",",
            before_body="{timestamp}.",
            timestamp_part="t=",
        )
    ),
    regardless(classify),
    retries=Retries(
        seconds(*(_HOUR * hours for hours in (0.1, 0.5, 1, 2, 4, 8, 12, 18, 26)))
    ),  # within 3 days; how they are spread is not published
)
