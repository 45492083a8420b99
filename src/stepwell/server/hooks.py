"""Routes: what webhooks have brought, and what they start. (Taking deliveries is `intake.py`.)"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from stepwell.core import webhooks
from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, UnknownDelivery
from stepwell.server.cursors import cursor_after, place_of
from stepwell.server.documents import DEFAULT_PAGE, Cursor, Limit, Text
from stepwell.server.queries import given
from stepwell.server.routes import Call, Route


class Hook(msgspec.Struct):
    """A trigger by webhooks. In `types`, `*` stands for any text; without a `connection` it takes those of all."""

    id: str
    workflow: str
    queue: str
    source: str
    types: list[str]
    connection: str | None


class Hooks(msgspec.Struct):
    """The triggers in force, by their ids."""

    hooks: list[Hook]


async def list_hooks(call: Call) -> Hooks:
    """List what webhooks start."""
    return Hooks(
        [
            Hook(one.id, one.workflow, one.queue, one.source, list(one.types), one.connection)
            for one in await call.app.hooks()
        ]
    )


class Delivery(msgspec.Struct, kw_only=True):
    """An accepted delivery, without what it said. `duplicates` were answered as it was, and started nothing.

    `is_reconciled`: it was not delivered, but found by asking.
    """

    id: UUID
    received_at: datetime
    source: str
    connection: str | None
    type: str
    dedupe_key: str
    subject: str | None
    executions: list[UUID]
    duplicates: int
    is_reconciled: bool


class DeliveryDetails(Delivery, kw_only=True):
    """A delivery with all that it said; a `body` that is no text is in Base64, as `encoding` says."""

    headers: dict[str, str]
    body: str
    encoding: str


class Deliveries(msgspec.Struct):
    """Deliveries, newest first. `next` is the cursor of the next page, if there is one."""

    deliveries: list[Delivery]
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
    before = None if query.cursor is UNSET else place_of(query.cursor, UUID, of=of)
    found = await call.app.deliveries(before=before, limit=query.limit, **which)
    following = cursor_after(found[-1].id, of=of) if len(found) == query.limit else None
    return Deliveries([Delivery(**_facts(one)) for one in found], following)


async def get_delivery(call: Call, delivery_id: UUID) -> DeliveryDetails:
    """Look at a delivery: its headers, without what is secret in them, and its body."""
    one = await call.app.delivery(delivery_id)
    body, encoding = _shown(one.body)
    return DeliveryDetails(**_facts(one), headers=dict(one.headers), body=body, encoding=encoding)


class Replayed(msgspec.Struct):
    """The executions that were started."""

    delivery_id: UUID
    executions: list[UUID]


async def replay_delivery(call: Call, delivery_id: UUID) -> Replayed:
    """Start new executions from a delivery, by the triggers that are in force now."""
    return Replayed(delivery_id, [handle.id for handle in await call.app.replay(delivery_id)])


def _facts(one: webhooks.Delivery) -> dict[str, Any]:
    facts = {name: getattr(one, name) for name in Delivery.__struct_fields__}
    return {**facts, "executions": list(one.executions)}


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
