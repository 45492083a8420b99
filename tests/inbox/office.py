"""A receiver on a store, with endpoints that tests set, and deliveries as vendors would send them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from stepwell.core.webhooks import Endpoint, HookSpec
from stepwell.inbox.receiving import Receiver, Reply
from stepwell.sources import SOURCES, Request, sign
from stepwell.store.base import Backend
from stepwell.store.identity import new_id
from stepwell.store.memory import MemoryStore

SECRET, OTHER = b"s3cret-of-acme", b"s3cret-of-another"
ORDERS = HookSpec("orders", "order", "crm", "event", "shopify", ("orders/*",))
ACME = Endpoint("acme", "shopify", (SECRET,), tenant="acme.myshopify.com")


class Endpoints:
    """Those that a test sets. To change one is to let the revision grow, as the vault does."""

    def __init__(self, *given: Endpoint) -> None:
        self.given: Sequence[Endpoint] = given
        self.questions = 0

    async def endpoints(self) -> Sequence[Endpoint]:
        self.questions += 1
        return self.given


class Office:
    """A process that takes deliveries."""

    def __init__(self, *given: Endpoint, store: Backend | None = None) -> None:
        self.memory = MemoryStore()
        self.store: Backend = store or self.memory
        self.endpoints = Endpoints(*(given or (ACME,)))
        self.receiver = Receiver(self.store.inbox, self.endpoints, now=self.store.now)

    async def declare(self, *hooks: HookSpec) -> None:
        await self.store.inbox.apply_hooks(hooks, workflows=sorted({hook.workflow for hook in hooks} | {"order"}))

    async def receive(self, request: Request, connection: str | None = None, source: str = "shopify") -> Reply:
        return await self.receiver.receive(source, connection, request)

    def change(self, *given: Endpoint) -> None:
        """Somebody changes the secrets, in this or another process."""
        self.endpoints.given = given
        self.memory._inbox.change_secrets()


def shopify(
    body: bytes = b'{"id":1}',
    *,
    secret: bytes = SECRET,
    type: str = "orders/create",
    id: str = "event-1",
    tenant: str | None = "acme.myshopify.com",
) -> Request:
    """An order, signed."""
    now = datetime.now(UTC)
    return Request.post(sign(SOURCES["shopify"], body, secret, type=type, id=id, now=now, tenant=tenant), body)


def said(reply: Reply) -> dict[str, Any]:
    """The document of an answer."""
    document: dict[str, Any] = json.loads(reply.body)
    return document


def executions_of(reply: Reply) -> list[UUID]:
    return [UUID(one) for one in said(reply)["executions"]]


def unique() -> str:
    """An id that no other delivery has."""
    return str(new_id())
