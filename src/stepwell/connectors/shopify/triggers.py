"""Events of Shopify webhooks by topic, and the triggers for them.

Source: shopify.dev/docs/api/webhooks. Bodies are those of the older REST API: `id` is a number beyond 2^53, and actions
take `payload.gid` as well. Deletions have the number only. Order is not kept: `updated_at` tells what is stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from stepwell.connectors.events import ConnectorEvent
from stepwell.connectors.shopify.reconcile import ShopifyReconcile
from stepwell.core.duration import DurationLike
from stepwell.core.triggers import WebhookTrigger
from stepwell.errors import InvalidValue

Json = dict[str, Any]


@dataclass(frozen=True)
class OrderPayload:
    """An order. `total` is decimal text in `currency`."""

    id: int
    gid: str
    name: str | None = None
    email: str | None = None
    total: str | None = None
    currency: str | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    customer_id: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True)
class ProductPayload:
    """A product."""

    id: int
    gid: str
    title: str | None = None
    handle: str | None = None
    status: str | None = None
    vendor: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class CustomerPayload:
    """A customer."""

    id: int
    gid: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    state: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class InventoryLevelPayload:
    """So much of an inventory item is available at a location; None when it is no longer stocked there."""

    inventory_item_id: int
    location_id: int
    available: int | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class InventoryItemPayload:
    """What stock is counted of."""

    id: int
    gid: str
    sku: str | None = None
    tracked: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class BulkPayload:
    """A bulk operation that has ended. `id` is a gid, for `get_bulk_query`; `error` is None if it ended well."""

    id: str
    status: str
    type: str | None = None
    error: str | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True)
class ObjectPayload:
    """An object of whatever topic, as far as it has an id."""

    id: int | None = None
    gid: str | None = None
    updated_at: datetime | None = None


def _body(raw: Any) -> Json:
    if not isinstance(raw, dict):
        raise InvalidValue(path="$.raw", reason="is no JSON object, as Shopify sends; the delivery is from elsewhere")
    return raw


def _picked(raw: Any, kind: str, *names: str) -> Json:
    """Fields of the same name, with the two ids."""
    body = _body(raw)
    id = body.get("id")
    gid = body.get("admin_graphql_api_id") or (None if id is None else f"gid://shopify/{kind}/{id}")
    return {"id": id, "gid": gid, **{name: body.get(name) for name in names}}


@dataclass(frozen=True)
class OrderEvent(ConnectorEvent[OrderPayload]):
    """Something has happened to an order; `type` says what."""

    payload_type: ClassVar[Any] = OrderPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        same = ("name", "email", "currency", "financial_status", "fulfillment_status")
        times = ("created_at", "updated_at", "cancelled_at")
        body = _body(raw)
        customer = (body.get("customer") or {}).get("id")
        return {**_picked(raw, "Order", *same, *times), "total": body.get("total_price"), "customer_id": customer}


@dataclass(frozen=True)
class ProductEvent(ConnectorEvent[ProductPayload]):
    """Something has happened to a product; `type` says what."""

    payload_type: ClassVar[Any] = ProductPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        return _picked(raw, "Product", "title", "handle", "status", "vendor", "created_at", "updated_at")


@dataclass(frozen=True)
class CustomerEvent(ConnectorEvent[CustomerPayload]):
    """Something has happened to a customer; `type` says what."""

    payload_type: ClassVar[Any] = CustomerPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        return _picked(raw, "Customer", "email", "first_name", "last_name", "state", "created_at", "updated_at")


@dataclass(frozen=True)
class InventoryLevelEvent(ConnectorEvent[InventoryLevelPayload]):
    """Stock at a location has changed, or began or ceased to be counted there; `type` says what."""

    payload_type: ClassVar[Any] = InventoryLevelPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        names = ("inventory_item_id", "location_id", "available", "updated_at")
        return {name: _body(raw).get(name) for name in names}


@dataclass(frozen=True)
class InventoryItemEvent(ConnectorEvent[InventoryItemPayload]):
    """Something has happened to an inventory item; `type` says what."""

    payload_type: ClassVar[Any] = InventoryItemPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        return _picked(raw, "InventoryItem", "sku", "tracked", "created_at", "updated_at")


@dataclass(frozen=True)
class BulkQueryFinished(ConnectorEvent[BulkPayload]):
    """A bulk operation has ended, well or not."""

    payload_type: ClassVar[Any] = BulkPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        body = _body(raw)
        return {
            "id": body.get("admin_graphql_api_id"),
            "status": body.get("status"),
            "type": body.get("type"),
            "error": body.get("error_code"),
            "completed_at": body.get("completed_at"),
        }


@dataclass(frozen=True)
class ShopifyEvent(ConnectorEvent[ObjectPayload]):
    """A delivery of any topic; `raw` has its body."""

    payload_type: ClassVar[Any] = ObjectPayload

    @classmethod
    def payload_of(cls, raw: Any) -> Any:
        body = _body(raw)
        id, gid = body.get("id"), body.get("admin_graphql_api_id")
        return {"id": id if isinstance(id, int) else None, "gid": gid, "updated_at": body.get("updated_at")}


class ShopifyTriggers(ShopifyReconcile):
    """Triggers for deliveries by topic. Annotate the workflow's parameter with the event that each one names.

    `id` names the trigger, by default as the workflow. `reconcile` is how often the shop is asked for what no delivery
    has told of; both ways together start one execution.
    """

    def on_topic(self, *topics: str, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each delivery of these topics (`fulfillments/*`), with a `ShopifyEvent`."""
        return self.trigger(*(topics or ("*",)), id=id)

    def on_order_created(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each new order, with an `OrderEvent`."""
        return self.trigger("orders/create", id=id, reconcile=reconcile, find=self.find_created_orders)

    def on_order_updated(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each changed order, with an `OrderEvent`."""
        return self.trigger("orders/updated", id=id, reconcile=reconcile, find=self.find_updated_orders)

    def on_order_paid(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each paid order, with an `OrderEvent`."""
        return self.trigger("orders/paid", id=id)

    def on_order_cancelled(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each cancelled order, with an `OrderEvent`."""
        return self.trigger("orders/cancelled", id=id)

    def on_order_fulfilled(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each order that is wholly or partly shipped, with an `OrderEvent`."""
        return self.trigger("orders/fulfilled", "orders/partially_fulfilled", id=id)

    def on_order_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted order, with an `OrderEvent`."""
        return self.trigger("orders/delete", id=id)

    def on_product_created(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each new product, with a `ProductEvent`."""
        return self.trigger("products/create", id=id, reconcile=reconcile, find=self.find_created_products)

    def on_product_updated(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each changed product, with a `ProductEvent`."""
        return self.trigger("products/update", id=id, reconcile=reconcile, find=self.find_updated_products)

    def on_product_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted product, with a `ProductEvent`."""
        return self.trigger("products/delete", id=id)

    def on_customer_created(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each new customer, with a `CustomerEvent`."""
        return self.trigger("customers/create", id=id, reconcile=reconcile, find=self.find_created_customers)

    def on_customer_updated(self, *, id: str | None = None, reconcile: DurationLike | None = None) -> WebhookTrigger:
        """Start an execution for each changed customer, with a `CustomerEvent`."""
        return self.trigger("customers/update", id=id, reconcile=reconcile, find=self.find_updated_customers)

    def on_customer_deleted(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each deleted customer, with a `CustomerEvent`."""
        return self.trigger("customers/delete", id=id)

    def on_inventory_level_changed(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each change of stock at a location, with an `InventoryLevelEvent`."""
        return self.trigger("inventory_levels/*", id=id)

    def on_inventory_item_changed(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each new, changed or deleted inventory item, with an `InventoryItemEvent`."""
        return self.trigger("inventory_items/*", id=id)

    def on_bulk_query_finished(self, *, id: str | None = None) -> WebhookTrigger:
        """Start an execution for each bulk operation that has ended, with a `BulkQueryFinished`."""
        return self.trigger("bulk_operations/finish", id=id)
