"""Shopify, both families of headers: `X-Shopify-*` of webhooks, and `Shopify-*` of events (2026, a preview).

Sources: shopify.dev/docs/apps/build/webhooks (verify-deliveries, ignore-duplicates, delivery-structure,
subscribe/https), shopify.dev/docs/apps/build/events (verify-deliveries, delivery-structure).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from msgspec import Struct
from msgspec.json import Decoder

from stepwell.core.webhooks import Envelope
from stepwell.sources import subjects
from stepwell.sources.digests import HmacDigest, as_base64
from stepwell.sources.reading import Scalar, envelope, hash_of, read, written
from stepwell.sources.request import Request
from stepwell.sources.schemes import Signature
from stepwell.sources.source import MIB, Retries, Sent, Source, always, regardless, seconds
from stepwell.sources.verdicts import Refused


@dataclass(frozen=True, slots=True)
class _Family:
    """The names of the headers that say what a delivery is. `subscription` tells apart two of one topic."""

    proof: str
    topic: str
    event: str
    delivery: str
    shop: str
    subscription: str
    action: str | None = None
    resource: str | None = None


WEBHOOKS = _Family(
    proof="X-Shopify-Hmac-Sha256",
    topic="X-Shopify-Topic",
    event="X-Shopify-Event-Id",
    delivery="X-Shopify-Webhook-Id",
    shop="X-Shopify-Shop-Domain",
    subscription="X-Shopify-Name",
)
EVENTS = _Family(
    proof="shopify-hmac-sha256",
    topic="shopify-topic",
    event="shopify-event-id",
    delivery="shopify-webhook-id",
    shop="shopify-shop-domain",
    subscription="shopify-handle",
    action="shopify-action",
    resource="shopify-resource-id",
)
FAMILIES = (WEBHOOKS, EVENTS)


class _Object(Struct):
    admin_graphql_api_id: Scalar = None
    updated_at: str | None = None


_OBJECT = Decoder(_Object)


def classify(request: Request) -> Envelope | Refused:
    family = next((family for family in FAMILIES if request.header(family.proof)), WEBHOOKS)
    topic = request.header(family.topic)
    if not topic:
        return Refused(f"header {family.topic} is missing, empty or there twice")
    action = family.action and request.header(family.action)
    type = f"{topic}/{action}" if action else topic
    body = read(_OBJECT, request.body) or _Object()
    gid = (family.resource and request.header(family.resource)) or written(body.admin_graphql_api_id)
    shop = request.header(family.shop) or ""
    return envelope(
        type, _dedupe_key(request, family, shop, type, gid), subject=_subject(type, gid, body.updated_at), tenant=shop
    )


def _dedupe_key(request: Request, family: _Family, shop: str, type: str, gid: str) -> str:
    """One act of a merchant has one event id, whatever it changes: topic, subscription and object tell those apart."""
    if event := request.header(family.event):
        return f"{shop}:{type}:{request.header(family.subscription) or ''}:{gid}:{event}"
    delivery = request.header(family.delivery)
    return f"{shop}:{type}:{delivery}" if delivery else hash_of(request.body)


def _subject(type: str, gid: str, updated_at: str | None) -> str | None:
    """A created object is that object, whatever became of it later; an update is a version of it."""
    if not gid:
        return None
    match type.rpartition("/")[2]:
        case "create":
            return subjects.shopify_created(type, gid)
        case "update" | "updated" if updated_at:
            return subjects.shopify_updated(type, gid, updated_at)
    return None


def headers(sent: Sent) -> dict[str, str]:
    return {
        WEBHOOKS.topic: sent.type,
        WEBHOOKS.shop: sent.tenant or "example.myshopify.com",
        WEBHOOKS.event: sent.id,
        WEBHOOKS.delivery: sent.id,
    }


SHOPIFY = Source(
    "shopify",
    always(
        Signature(
            tuple(family.proof for family in FAMILIES), (HmacDigest(encode=as_base64),), "the app's client secret"
        )
    ),
    regardless(classify),
    headers=headers,
    answer_within=timedelta(seconds=5),
    retries=Retries(seconds(*(55 * 2**n for n in range(8)))),  # 8 within 4 hours, further and further apart
    max_body_bytes=8 * MIB,  # no cap is published, and a product may have 2,048 variants
)
