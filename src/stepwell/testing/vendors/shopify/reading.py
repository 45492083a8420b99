"""The fake's queries."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from stepwell.testing.vendors.shopify.records import Json, by, page_of, searched
from stepwell.testing.vendors.shopify.shop import Shop

Resolver = Callable[..., Any]


class Reading(Shop):
    """Fields of the query root."""

    def queries(self) -> dict[str, Resolver]:
        """Each by its name."""
        return {
            "shop": lambda _info: {
                "id": "gid://shopify/Shop/1",
                "name": self.shop.capitalize(),
                "myshopifyDomain": f"{self.shop}.myshopify.com",
            },
            "order": lambda _info, id: self.orders.get(id),
            "product": lambda _info, id: self.products.get(id),
            "customer": lambda _info, id: self.customers.get(id),
            "fulfillmentOrder": lambda _info, id: self.fulfillment_order(id),
            "orders": self._listing(self.orders),
            "products": self._listing(self.products),
            "customers": self._listing(self.customers),
            "webhookSubscriptions": self._webhooks,
            "bulkOperation": lambda _info, id: self.looked_at_bulk(id),
            "bulkOperations": self._listing(self.bulk),
        }

    def fulfillment_order(self, id: str) -> Json | None:
        """What is to be shipped, by its id."""
        all_of_them = (one for order in self.orders.values() for one in order["_fulfillment_orders"])
        return next((one for one in all_of_them if one["id"] == id), None)

    @abstractmethod
    def looked_at_bulk(self, id: str) -> Json | None:
        """A bulk operation, as far as it has got when somebody looks."""

    def _listing(self, things: dict[str, Json]) -> Resolver:
        def listed(info: Any, **arguments: Any) -> Json:
            found = searched(things.values(), arguments.get("query"))
            ordered = by(found, arguments.get("sortKey") or "ID", reverse=bool(arguments.get("reverse")))
            return page_of(ordered, arguments, info)

        return listed

    def _webhooks(self, info: Any, **arguments: Any) -> Json:
        topics, uri = arguments.get("topics"), arguments.get("uri")
        found = [
            one
            for one in self.subscriptions.values()
            if (not topics or one["topic"] in topics) and uri in (None, one["uri"])
        ]
        return page_of(found, arguments, info)
