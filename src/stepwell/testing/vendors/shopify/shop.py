"""What all parts of the fake shop share: its objects, what people do there, and what its webhooks tell of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stepwell.sources import sign, source_named
from stepwell.testing.vendors.fake import FakeVendor
from stepwell.testing.vendors.outgoing import Outgoing
from stepwell.testing.vendors.shopify.records import (
    Json,
    connection,
    customer_body,
    money,
    order_body,
    product_body,
    text_of,
)
from stepwell.testing.vendors.switches import Fail, Limit, Throttle, Trouble

LOCATION = "gid://shopify/Location/24826418"


class Shop(FakeVendor):
    """One shop with one location, seen by one app."""

    name = "shopify"

    def __init__(
        self,
        *,
        shop: str = "acme",
        tokens: Sequence[str] = ("shpat_1",),
        client_secret: str = "shpss_1",  # noqa: S107 - of a fake
        currency: str = "EUR",
        first_id: int = 820_982_911_946_154_500,
        points: float = 2_000.0,
        restore_rate: float = 100.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.shop, self.client_secret, self.currency, self.now = shop, client_secret, currency, now
        self.orders: dict[str, Json] = {}
        self.products: dict[str, Json] = {}
        self.customers: dict[str, Json] = {}
        self.stock: dict[tuple[str, str], int] = {}
        self.metafields: dict[tuple[str, str, str], Json] = {}
        self.subscriptions: dict[str, Json] = {}
        self.bulk: dict[str, Json] = {}
        self.max_points, self.restore_rate = points, restore_rate
        self._points, self._counted_at = points, monotonic()
        self._ids, self._numbers = count(first_id), count(1001)
        self.keys: dict[str, tuple[str, Json]] = {}
        super().__init__(tokens=tokens)

    def next_id(self, kind: str) -> str:
        """A global id that nothing has yet."""
        return f"gid://shopify/{kind}/{next(self._ids)}"

    def time(self) -> str:
        """Now, as the API writes it."""
        return text_of(self.now())

    def create_order(
        self, *lines: tuple[str, int, str], email: str | None = None, customer: str | None = None, **more: Any
    ) -> Json:
        """Somebody orders: lines are title, quantity and price of one. `more` are fields of the order."""
        total = sum(quantity * round(float(price) * 100) for _, quantity, price in lines)
        at = self.time()
        made: Json = {
            "__typename": "Order",
            "id": self.next_id("Order"),
            "name": f"#{next(self._numbers)}",
            "createdAt": at,
            "updatedAt": at,
            "processedAt": at,
            "cancelledAt": None,
            "email": email,
            "tags": [],
            "test": False,
            "displayFinancialStatus": "PAID",
            "displayFulfillmentStatus": "UNFULFILLED",
            "currencyCode": self.currency,
            "totalPriceSet": money(f"{total // 100}.{total % 100:02}", self.currency),
            "customer": self.customers[customer] if customer else None,
            "_lines": [self._line(*line) for line in lines],
            **more,
        }
        made["lineItems"] = connection(made["_lines"])
        made["_fulfillment_orders"] = [self._fulfillment_order(made)]
        made["fulfillmentOrders"] = connection(made["_fulfillment_orders"])
        self.orders[made["id"]] = made
        self.ledger.record("order created", made["id"])
        self.happened("orders/create", order_body(made))
        return made

    def _line(self, title: str, quantity: int, price: str) -> Json:
        known = next(
            (one for product in self.products.values() for one in product["_variants"] if product["title"] == title),
            None,
        )
        return {
            "id": self.next_id("LineItem"),
            "title": title,
            "sku": known["sku"] if known else None,
            "quantity": quantity,
            "variant": known,
            "originalUnitPriceSet": money(price, self.currency),
        }

    def _fulfillment_order(self, order: Json) -> Json:
        lines = [
            {"id": self.next_id("FulfillmentOrderLineItem"), "remainingQuantity": n, "totalQuantity": n}
            for n in (line["quantity"] for line in order["_lines"])
        ]
        made: Json = {
            "__typename": "FulfillmentOrder",
            "id": self.next_id("FulfillmentOrder"),
            "status": "OPEN",
            "lineItems": connection(lines),
            "_lines": lines,
            "_order": order["id"],
            "_fulfillments": [],
        }
        made["fulfillments"] = connection(made["_fulfillments"])
        return made

    def update_order(self, id: str, **values: Any) -> Json:
        """Somebody changes an order."""
        order = self.orders[id]
        order.update(values, updatedAt=self.time())
        self.ledger.record("order updated", id)
        self.happened("orders/updated", order_body(order))
        return order

    def create_product(self, title: str, *, price: str = "10.00", sku: str | None = None, **more: Any) -> Json:
        """Somebody puts a product with one variant into the shop."""
        variant = {"title": "Default Title", "sku": sku, "price": price}
        return self.put_product({"title": title, **more}, [variant])

    def put_product(self, values: Json, variants: Sequence[Json], known: Json | None = None) -> Json:
        """A product with these values and variants, a new one or that which is known."""
        title = values.get("title") or (known or {}).get("title") or ""
        at = self.time()
        made: Json = {
            "__typename": "Product",
            "id": self.next_id("Product") if known is None else known["id"],
            "createdAt": at,
            "handle": "-".join(title.lower().split()),
            "status": "ACTIVE",
            "vendor": self.shop,
            "productType": "",
            "tags": [],
            "_variants": [],
            **(known or {}),
            **values,
            "updatedAt": at,
        }
        if variants:
            made["_variants"] = [self._variant(one, made) for one in variants]
        made["variants"] = connection(made["_variants"])
        self.products[made["id"]] = made
        self.ledger.record("product created" if known is None else "product updated", made["id"])
        self.happened("products/create" if known is None else "products/update", product_body(made))
        return made

    def _variant(self, values: Json, product: Json) -> Json:
        known: Json = next((one for one in product["_variants"] if values.get("id") == one["id"]), {})
        item = known.get("inventoryItem") or {"__typename": "InventoryItem", "id": self.next_id("InventoryItem")}
        return {
            "__typename": "ProductVariant",
            "id": self.next_id("ProductVariant"),
            "title": "Default Title",
            "sku": None,
            "price": "0.00",
            "inventoryItem": item,
            "inventoryQuantity": self.stock.setdefault((item["id"], LOCATION), 0),
            **known,
            **values,
        }

    def create_customer(self, first_name: str, last_name: str, *, email: str | None = None) -> Json:
        """Somebody becomes a customer."""
        at = self.time()
        made: Json = {
            "__typename": "Customer",
            "id": self.next_id("Customer"),
            "displayName": f"{first_name} {last_name}",
            "firstName": first_name,
            "lastName": last_name,
            "state": "ENABLED",
            "createdAt": at,
            "updatedAt": at,
            "tags": [],
            "defaultEmailAddress": {"emailAddress": email} if email else None,
            "defaultPhoneNumber": None,
        }
        self.customers[made["id"]] = made
        self.ledger.record("customer created", made["id"])
        self.happened("customers/create", customer_body(made))
        return made

    def set_stock(self, item: str, quantity: int, *, location: str = LOCATION) -> int:
        """Somebody counts: so much of an inventory item is there now. The change is returned."""
        before = self.stock.get((item, location), 0)
        self.stock[item, location] = quantity
        for product in self.products.values():
            for variant in product["_variants"]:
                if variant["inventoryItem"]["id"] == item:
                    variant["inventoryQuantity"] = quantity
        numbers = {name: int(gid.rpartition("/")[2]) for name, gid in (("item", item), ("location", location))}
        body = {
            "inventory_item_id": numbers["item"],
            "location_id": numbers["location"],
            "available": quantity,
            "updated_at": self.time(),
            "admin_graphql_api_id": f"gid://shopify/InventoryLevel/1?inventory_item_id={numbers['item']}",
        }
        self.ledger.record("stock set", item)
        self.happened("inventory_levels/update", body)
        return quantity - before

    def subscribe(self, topic: str, uri: str) -> Json:
        """A subscription to a topic such as `orders/create`."""
        made: Json = {
            "id": self.next_id("WebhookSubscription"),
            "topic": topic.replace("/", "_").upper(),
            "uri": uri,
            "format": "JSON",
            "filter": None,
            "name": None,
            "createdAt": self.time(),
        }
        self.subscriptions[made["id"]] = made
        self.ledger.record("webhook created", made["id"])
        return made

    def happened(self, topic: str, body: Json) -> None:
        """Every subscription to the topic sends it, with one event id."""
        event = str(uuid4())
        for subscription in list(self.subscriptions.values()):
            if subscription["topic"] == topic.replace("/", "_").upper():
                self._send(subscription, topic, event, json.dumps(body, separators=(",", ":")).encode())

    def _send(self, subscription: Json, topic: str, event: str, body: bytes) -> None:
        secret, tenant = self.client_secret.encode(), f"{self.shop}.myshopify.com"
        headers = sign(source_named(self.name), body, secret, type=topic, id=event, now=self.now(), tenant=tenant)
        headers["X-Shopify-Webhook-Id"] = str(uuid4())
        headers["X-Shopify-Triggered-At"] = self.now().astimezone(UTC).isoformat()

        def answered(status: int | None, _attempts: int) -> None:
            if status is None or not 200 <= status < 300:  # Shopify gives up, and drops the subscription
                self.subscriptions.pop(subscription["id"], None)

        self.outgoing.put(
            Outgoing(
                source=self.name,
                type=topic,
                id=event,
                url=subscription["uri"],
                headers=headers,
                body=body,
                answered=answered,
            )
        )

    def refused(self, request: Request) -> Response | None:
        """401 for bad credentials, in the vendor's shape. Files of bulk operations need none."""
        if request.url.path.startswith("/files/") or request.headers.get("x-shopify-access-token") in self.tokens:
            return None
        told = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return JSONResponse({"errors": told}, 401)

    def refusal(self, trouble: Trouble) -> Response:
        """How Shopify says that something went wrong: mostly as 200."""
        match trouble:
            case Throttle():
                return self.throttled(MAX_QUERY)
            case Limit(retry_after=retry_after):
                told = (
                    "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
                )
                return JSONResponse({"errors": told}, 429, self.limits(retry_after))
            case Fail(status=200):
                error = {"message": "Internal error. Looks like something went wrong on our end."}
                return JSONResponse({"errors": [{**error, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]})
            case Fail(status=status):
                return JSONResponse({"errors": "Internal Server Error"}, status)
        return super().refusal(trouble)

    def throttled(self, wanted: float) -> Response:
        """The answer to a query that costs more than there is now."""
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return JSONResponse({"errors": [error], "extensions": {"cost": self.cost_told(wanted, None)}})

    def points(self) -> float:
        """What is in the bucket now."""
        now = monotonic()
        restored = (now - self._counted_at) * self.restore_rate
        self._points, self._counted_at = min(self.max_points, self._points + restored), now
        return self._points

    def take_points(self, cost: float) -> None:
        """Somebody has used them."""
        self._points = self.points() - cost

    def cost_told(self, requested: float, actual: float | None) -> Json:
        """What every answer tells of the bucket."""
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": self.max_points,
                "currentlyAvailable": int(self.points()),
                "restoreRate": self.restore_rate,
            },
        }


MAX_QUERY = 1_000.0
