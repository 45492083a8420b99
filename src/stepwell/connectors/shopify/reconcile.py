"""Orders, products and customers that no webhook has told of: Shopify tries eight times, then drops a subscription.

A look finds each object in its latest version only: versions between that no webhook has told of are not found, and
nobody needs them. Bodies are as those of webhooks, with the fields that our documents ask for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stepwell.connectors.looking import Look, beginning
from stepwell.connectors.shopify.resources import ResourceActions
from stepwell.connectors.shopify.types import Customer, Order, Product
from stepwell.core.webhooks import Envelope, Found, FoundEvent
from stepwell.sources import subjects

Json = dict[str, Any]
Thing = Order | Product | Customer
Page = Callable[[str, str, str | None], Awaitable[tuple[Sequence[Thing], str | None]]]

OVERLAP = timedelta(minutes=5)  # what is looked at again: the search index lags, and clocks differ


class ShopifyReconcile(ResourceActions):
    """Looks for what deliveries should have told. The first look only finds out where to begin."""

    async def find_created_orders(self, cursor: str | None) -> Found:
        """Orders that were created since."""
        return await self._found(cursor, "orders/create", self._orders)

    async def find_updated_orders(self, cursor: str | None) -> Found:
        """Orders that were changed since, as they are now."""
        return await self._found(cursor, "orders/updated", self._orders)

    async def find_created_products(self, cursor: str | None) -> Found:
        """Products that were created since."""
        return await self._found(cursor, "products/create", self._products)

    async def find_updated_products(self, cursor: str | None) -> Found:
        """Products that were changed since, as they are now."""
        return await self._found(cursor, "products/update", self._products)

    async def find_created_customers(self, cursor: str | None) -> Found:
        """Customers that were created since."""
        return await self._found(cursor, "customers/create", self._customers)

    async def find_updated_customers(self, cursor: str | None) -> Found:
        """Customers that were changed since, as they are now."""
        return await self._found(cursor, "customers/update", self._customers)

    async def _orders(self, query: str, sort: str, after: str | None) -> tuple[list[Order], str | None]:
        page = await self.list_orders(query=query, sort=sort, cursor=after)
        return page.orders, page.cursor

    async def _products(self, query: str, sort: str, after: str | None) -> tuple[list[Product], str | None]:
        page = await self.list_products(query=query, sort=sort, cursor=after)
        return page.products, page.cursor

    async def _customers(self, query: str, sort: str, after: str | None) -> tuple[list[Customer], str | None]:
        page = await self.list_customers(query=query, sort=sort, cursor=after)
        return page.customers, page.cursor

    async def _found(self, cursor: str | None, topic: str, page: Page) -> Found:
        if cursor is None:
            return beginning()
        look, field = Look.at(cursor, overlap=OVERLAP), "created_at" if topic.endswith("/create") else "updated_at"
        things, after = await page(f"{field}:>='{_text(look.since)}'", field.upper(), look.after)
        events = [_event(topic, thing) for thing in things]
        return look.found(events, (getattr(thing, field) for thing in things), after=after)


def _event(topic: str, thing: Thing) -> FoundEvent:
    updated_at = thing.updated_at.isoformat()
    if topic.endswith("/create"):
        subject: str | None = subjects.shopify_created(topic, thing.id)
    else:
        subject = subjects.shopify_updated(topic, thing.id, updated_at)
    envelope = Envelope(topic, f"found:{subject}", subject)
    return FoundEvent(envelope, msgspec.json.encode(_body(thing)))


def _body(thing: Thing) -> Json:
    """The object as its webhook writes it."""
    common = {
        "id": number_of(thing.id),
        "admin_graphql_api_id": thing.id,
        "created_at": thing.created_at.isoformat(),
        "updated_at": thing.updated_at.isoformat(),
        "tags": ", ".join(thing.tags),
    }
    match thing:
        case Order():
            return {**common, **_order(thing)}
        case Product():
            return {**common, **_product(thing)}
        case Customer():
            return {**common, **_customer(thing)}


def _order(order: Order) -> Json:
    return {
        "name": order.name,
        "email": order.email,
        "cancelled_at": order.cancelled_at.isoformat() if order.cancelled_at else None,
        "currency": order.total.currency if order.total else None,
        "total_price": order.total.amount if order.total else None,
        "financial_status": (order.financial_status or "").lower() or None,
        "fulfillment_status": FULFILLMENT_STATUSES.get(order.fulfillment_status),
        "customer": {"id": number_of(order.customer_id)} if order.customer_id else None,
        "line_items": [
            {
                "id": number_of(line.id),
                "admin_graphql_api_id": line.id,
                "title": line.title,
                "sku": line.sku,
                "quantity": line.quantity,
                "variant_id": number_of(line.variant_id) if line.variant_id else None,
                "price": line.unit_price.amount if line.unit_price else None,
            }
            for line in order.line_items
        ],
    }


FULFILLMENT_STATUSES = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial", "RESTOCKED": "restocked"}
"""What webhooks have for GraphQL's; null for the others."""


def _product(product: Product) -> Json:
    return {
        "title": product.title,
        "handle": product.handle,
        "vendor": product.vendor,
        "product_type": product.type,
        "status": product.status.lower(),
        "variants": [
            {
                "id": number_of(one.id),
                "admin_graphql_api_id": one.id,
                "title": one.title,
                "sku": one.sku,
                "price": one.price,
                "inventory_item_id": number_of(one.inventory_item_id),
                "inventory_quantity": one.quantity,
            }
            for one in product.variants
        ],
    }


def _customer(customer: Customer) -> Json:
    return {
        "email": customer.email,
        "first_name": customer.raw.get("firstName"),
        "last_name": customer.raw.get("lastName"),
        "phone": customer.phone,
        "state": customer.state.lower(),
    }


def number_of(gid: str) -> int:
    """The number in a global id, which is what webhooks have."""
    return int(gid.rpartition("/")[2].partition("?")[0])


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
