"""Routes: what webhooks have brought, and what they start. (Taking deliveries is `intake.py`.)"""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownDelivery
from stepwell.server import documents
from stepwell.server.cursors import page_of, place_of
from stepwell.server.fields import DEFAULT_PAGE, Cursor, Limit, Text
from stepwell.server.queries import given
from stepwell.server.routes import Call, Route


class Hooks(msgspec.Struct):
    """The triggers in force, by their ids."""

    hooks: list[documents.Hook]


async def list_hooks(call: Call) -> Hooks:
    """List what webhooks start."""
    return Hooks([documents.hook(one) for one in await call.app.hooks()])


class DeliveryDetails(documents.Delivery, kw_only=True):
    """A delivery with all that it said; a `body` that is no text is in Base64, as `encoding` says."""

    headers: dict[str, str]
    body: str
    encoding: str


class Deliveries(msgspec.Struct):
    """Deliveries, newest first. `next` is the cursor of the next page, if there is one."""

    deliveries: list[documents.Delivery]
    next: str | None


class WhichDeliveries(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    source: Text | UnsetType = UNSET
    connection: Text | UnsetType = UNSET
    type: Text | UnsetType = UNSET
    is_reconciled: bool | UnsetType = UNSET
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | UnsetType = UNSET


async def list_deliveries(call: Call, query: WhichDeliveries) -> Deliveries:
    """List the deliveries of webhooks, newest first."""
    which = given(query, "limit", "cursor")
    of = {"deliveries": which}
    before = place_of(query.cursor, UUID, of=of)
    found = await call.app.deliveries(before=before, limit=query.limit + 1, **which)
    page, following = page_of(found, lambda one: one.id, limit=query.limit, of=of)
    return Deliveries([documents.delivery(one) for one in page], following)


async def get_delivery(call: Call, delivery_id: UUID) -> DeliveryDetails:
    """Look at a delivery: its headers, without what is secret in them, and its body."""
    one = await call.app.delivery(delivery_id)
    body, encoding = _shown(one.body)
    return DeliveryDetails(**asdict(documents.delivery(one)), headers=dict(one.headers), body=body, encoding=encoding)


class Replayed(msgspec.Struct):
    """The executions that were started."""

    delivery_id: UUID
    executions: list[UUID]


async def replay_delivery(call: Call, delivery_id: UUID) -> Replayed:
    """Start new executions from a delivery, by the triggers that are in force now."""
    return Replayed(delivery_id, [handle.id for handle in await call.app.replay(delivery_id)])


def _shown(body: bytes) -> tuple[str, str]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return b64encode(body).decode(), "base64"


ROUTES = (
    Route("GET", "/hooks", Scope.READ, list_hooks),
    Route("GET", "/deliveries", Scope.READ, list_deliveries, errors=(InvalidOption,)),
    Route("GET", "/deliveries/{delivery_id}", Scope.READ, get_delivery, errors=(UnknownDelivery,)),
    Route(
        "POST",
        "/deliveries/{delivery_id}/replay",
        Scope.OPERATE,
        replay_delivery,
        statuses=(201,),
        errors=(InvalidOption, UnknownDelivery),
    ),
)
