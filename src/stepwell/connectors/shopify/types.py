"""What Shopify answers, as far as it has a name here; `raw` has everything that was asked for.

Source: shopify.dev/docs/api/admin-graphql. Ids are texts such as `gid://shopify/Order/820982911946154508`, money is a
decimal as text with its currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Money:
    """An amount, as decimal text, in a currency such as `EUR`."""

    amount: str
    currency: str


def money(bag: Json | None) -> Money | None:
    """The amount in the shop's own currency."""
    inner = (bag or {}).get("shopMoney")
    return Money(str(inner["amount"]), inner["currencyCode"]) if inner else None


@dataclass(frozen=True)
class LineItem:
    """A product that was ordered. `sku` and `variant_id` are None for what is no product of the shop any more."""

    id: str
    title: str
    sku: str | None
    quantity: int
    variant_id: str | None
    unit_price: Money | None


def _line_item(raw: Json) -> LineItem:
    variant = raw.get("variant") or {}
    price = money(raw.get("originalUnitPriceSet"))
    return LineItem(raw["id"], raw["title"], raw.get("sku"), raw["quantity"], variant.get("id"), price)


@dataclass(frozen=True)
class Order:
    """An order as it is now. `line_items` are the first 100, in lists the first 20.

    `updated_at` tells which of two answers is the later one.
    """

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    cancelled_at: datetime | None
    financial_status: str | None
    fulfillment_status: str
    total: Money | None
    email: str | None
    customer_id: str | None
    tags: list[str]
    line_items: list[LineItem]
    raw: Json


def order(raw: Json) -> Order:
    """An order as our documents ask for it."""
    return Order(
        id=raw["id"],
        name=raw["name"],
        created_at=_moment(raw["createdAt"]),
        updated_at=_moment(raw["updatedAt"]),
        cancelled_at=_moment(raw["cancelledAt"]) if raw.get("cancelledAt") else None,
        financial_status=raw.get("displayFinancialStatus"),
        fulfillment_status=raw["displayFulfillmentStatus"],
        total=money(raw.get("totalPriceSet")),
        email=raw.get("email"),
        customer_id=(raw.get("customer") or {}).get("id"),
        tags=raw["tags"],
        line_items=[_line_item(line) for line in raw["lineItems"]["nodes"]],
        raw=raw,
    )


@dataclass(frozen=True)
class OrderPage:
    """Some of the orders asked for. `cursor` is None on the last page."""

    orders: list[Order]
    cursor: str | None


@dataclass(frozen=True)
class Variant:
    """A version of a product. `inventory_item_id` is what stock is counted of."""

    id: str
    title: str
    sku: str | None
    price: str
    inventory_item_id: str
    quantity: int | None


def _variant(raw: Json) -> Variant:
    item = raw["inventoryItem"]["id"]
    return Variant(raw["id"], raw["title"], raw.get("sku"), str(raw["price"]), item, raw.get("inventoryQuantity"))


@dataclass(frozen=True)
class Product:
    """A product as it is now. `variants` are the first 250 (20 in lists)."""

    id: str
    handle: str
    title: str
    status: str
    vendor: str
    type: str
    created_at: datetime
    updated_at: datetime
    tags: list[str]
    variants: list[Variant]
    raw: Json


def product(raw: Json) -> Product:
    """A product as our documents ask for it."""
    return Product(
        id=raw["id"],
        handle=raw["handle"],
        title=raw["title"],
        status=raw["status"],
        vendor=raw["vendor"],
        type=raw["productType"],
        created_at=_moment(raw["createdAt"]),
        updated_at=_moment(raw["updatedAt"]),
        tags=raw["tags"],
        variants=[_variant(one) for one in raw["variants"]["nodes"]],
        raw=raw,
    )


@dataclass(frozen=True)
class ProductPage:
    """Some of the products asked for. `cursor` is None on the last page."""

    products: list[Product]
    cursor: str | None


@dataclass(frozen=True)
class Customer:
    """A customer as it is now."""

    id: str
    name: str
    email: str | None
    phone: str | None
    state: str
    created_at: datetime
    updated_at: datetime
    tags: list[str]
    raw: Json


def customer(raw: Json) -> Customer:
    """A customer as our documents ask for it."""
    return Customer(
        id=raw["id"],
        name=raw["displayName"],
        email=(raw.get("defaultEmailAddress") or {}).get("emailAddress"),
        phone=(raw.get("defaultPhoneNumber") or {}).get("phoneNumber"),
        state=raw["state"],
        created_at=_moment(raw["createdAt"]),
        updated_at=_moment(raw["updatedAt"]),
        tags=raw["tags"],
        raw=raw,
    )


@dataclass(frozen=True)
class CustomerPage:
    """Some of the customers asked for. `cursor` is None on the last page."""

    customers: list[Customer]
    cursor: str | None


@dataclass(frozen=True)
class QuantityChange:
    """What became of one quantity of an inventory item at a location."""

    inventory_item_id: str | None
    location_id: str | None
    name: str
    delta: int
    quantity_after: int | None


@dataclass(frozen=True)
class InventoryAdjustment:
    """The changes that one call has made; none where everything was as wanted before."""

    id: str | None
    changes: list[QuantityChange]
    raw: Json


def adjustment(raw: Json | None) -> InventoryAdjustment:
    """What a call that changes stock answers. There is no group when nothing had to change."""
    changes = [
        QuantityChange(
            (one.get("item") or {}).get("id"),
            (one.get("location") or {}).get("id"),
            one["name"],
            one["delta"],
            one.get("quantityAfterChange"),
        )
        for one in (raw or {}).get("changes") or []
    ]
    return InventoryAdjustment((raw or {}).get("id"), changes, raw or {})


@dataclass(frozen=True)
class Fulfillment:
    """A shipment of an order. `status`: `SUCCESS`, `CANCELLED`, `PENDING`, and others."""

    id: str
    status: str
    created_at: datetime
    tracking_numbers: list[str]
    raw: Json


def fulfillment(raw: Json) -> Fulfillment:
    """A fulfillment as our documents ask for it."""
    numbers = [one["number"] for one in raw["trackingInfo"] if one.get("number")]
    return Fulfillment(raw["id"], raw["status"], _moment(raw["createdAt"]), numbers, raw)


@dataclass(frozen=True)
class Metafield:
    """A value of our own on an object of the shop's. `value` is text, whatever the type."""

    id: str
    namespace: str
    key: str
    type: str
    value: str
    raw: Json


def metafield(raw: Json) -> Metafield:
    """A metafield as our documents ask for it."""
    return Metafield(raw["id"], raw["namespace"], raw["key"], raw["type"], raw["value"], raw)


@dataclass(frozen=True)
class BulkOperation:
    """A query over a whole shop, run by Shopify. `url` is where its lines are for seven days; None if there are none.

    `status`: `CREATED`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELING`, `CANCELED`, `EXPIRED`.
    """

    id: str
    status: str
    error: str | None
    objects: int
    bytes: int | None
    url: str | None
    raw: Json


def bulk_operation(raw: Json) -> BulkOperation:
    """A bulk operation as our documents ask for it. Its counts are texts: they may be beyond 2^53."""
    size = raw.get("fileSize")
    return BulkOperation(
        id=raw["id"],
        status=raw["status"],
        error=raw.get("errorCode"),
        objects=int(raw["objectCount"]),
        bytes=None if size is None else int(size),
        url=raw.get("url"),
        raw=raw,
    )


@dataclass(frozen=True)
class BulkPage:
    """Some of the rows of a bulk operation. `next_byte` is where the next page begins, None on the last one.

    A row is an object that was asked for; what was nested in a connection is a row of its own with `__parentId`.
    """

    rows: list[Json]
    next_byte: int | None


@dataclass(frozen=True)
class Webhook:
    """A webhook subscription. `topic` is as in deliveries, such as `orders/create`."""

    id: str
    topic: str
    uri: str
    raw: Json


def webhook(raw: Json) -> Webhook:
    """A subscription as our documents ask for it."""
    return Webhook(raw["id"], topic_of(raw["topic"]), raw["uri"], raw)


TOPICS_WITH_OTHER_SLASHES = {
    "INVENTORY_ITEMS": "inventory_items",
    "INVENTORY_LEVELS": "inventory_levels",
    "INVENTORY_SHIPMENTS": "inventory_shipments",
    "INVENTORY_TRANSFERS": "inventory_transfers",
    "BULK_OPERATIONS": "bulk_operations",
    "DRAFT_ORDERS": "draft_orders",
    "FULFILLMENT_EVENTS": "fulfillment_events",
    "FULFILLMENT_HOLDS": "fulfillment_holds",
    "FULFILLMENT_ORDERS": "fulfillment_orders",
    "ORDER_TRANSACTIONS": "order_transactions",
    "CUSTOMER_GROUPS": "customer_groups",
    "CUSTOMER_PAYMENT_METHODS": "customer_payment_methods",
    "METAFIELD_DEFINITIONS": "metafield_definitions",
    "PRODUCT_LISTINGS": "product_listings",
    "SELLING_PLAN_GROUPS": "selling_plan_groups",
    "APP_SUBSCRIPTIONS": "app_subscriptions",
}
"""Topics whose object has a name of several words: the enum writes all words with `_`."""


def topic_of(name: str) -> str:
    """The topic of deliveries that an enum value stands for: `ORDERS_CREATE` is `orders/create`."""
    for prefix, folder in TOPICS_WITH_OTHER_SLASHES.items():
        if name.startswith(f"{prefix}_"):
            return f"{folder}/{name[len(prefix) + 1 :].lower()}"
    first, _, rest = name.partition("_")
    return f"{first.lower()}/{rest.lower()}"


def enum_of(topic: str) -> str:
    """The enum value of a topic: `orders/create` is `ORDERS_CREATE`."""
    return topic.replace("/", "_").upper()


def gid(kind: str, id: int | str) -> str:
    """The global id of an object: numbers, as webhooks have them, get their prefix."""
    text = str(id)
    return text if text.startswith("gid://") else f"gid://shopify/{kind}/{text}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
