"""Webhook subscriptions of the app in one shop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepwell.connectors.base import action, may_be_a_repeat
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.shopify import documents
from stepwell.connectors.shopify.protocol import ShopifyProtocol
from stepwell.connectors.shopify.types import Webhook, enum_of, webhook

MAX_PAGES = 10  # of 100 subscriptions


class HookActions(ShopifyProtocol):
    """Source: shopify.dev/docs/apps/build/webhooks/subscribe. Deliveries are signed with the app's client secret."""

    @action(repeat="verify")
    async def create_webhook(
        self, topic: str, uri: str, *, filter: str | None = None, include_fields: Sequence[str] = ()
    ) -> Webhook:
        """Deliveries of that topic (`orders/create`) go to `uri` from now on (`webhookSubscriptionCreate`).

        `filter` is the vendor's search syntax. A repeat finds the subscription by its topic and `uri`.
        """
        if may_be_a_repeat():
            for known in await self.list_webhooks(topic=topic, uri=uri):
                return known
        wanted: dict[str, Any] = {"uri": uri, "format": "JSON"}
        if filter is not None:
            wanted["filter"] = filter
        if include_fields:
            wanted["includeFields"] = list(include_fields)
        variables = {"topic": enum_of(topic), "webhook": wanted}
        payload = await self.payload(documents.WEBHOOK_CREATE, variables, operation=f"subscribe to {topic}")
        return webhook(payload["webhookSubscription"])

    @action(repeat="safe")
    async def list_webhooks(self, *, topic: str | None = None, uri: str | None = None) -> list[Webhook]:
        """The subscriptions that were made by this API, at most 1,000; not those of the app's own file."""
        found: list[Webhook] = []
        after: str | None = None
        for _ in range(MAX_PAGES):
            variables = {"after": after, "uri": uri, "topics": [enum_of(topic)] if topic else None}
            page = (await self.data(documents.WEBHOOKS, variables, operation="list webhooks"))["webhookSubscriptions"]
            found += [webhook(raw) for raw in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        return found

    @action(repeat="safe")
    async def delete_webhook(self, id: str) -> None:
        """The subscription is gone, also if it was gone before."""
        try:
            await self.payload(documents.WEBHOOK_DELETE, {"id": id}, operation=f"delete webhook {id}")
        except VendorRejected as rejected:
            if "does not exist" not in rejected.reason:
                raise
