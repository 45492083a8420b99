"""What changes a shop: products, stock, fulfilments, tags, metafields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.connectors.base import action, action_key, may_be_a_repeat, not_before
from stepwell.connectors.shopify import documents
from stepwell.connectors.shopify.protocol import ShopifyProtocol
from stepwell.connectors.shopify.types import (
    Fulfillment,
    InventoryAdjustment,
    Metafield,
    Product,
    adjustment,
    fulfillment,
    gid,
    metafield,
    product,
)
from stepwell.errors import InvalidOption

Json = Mapping[str, Any]


class ChangeActions(ShopifyProtocol):
    """Source: shopify.dev/docs/api/admin-graphql, the mutations that the methods name."""

    @action(repeat="safe")
    async def set_product(self, identifier: Mapping[str, Any], input: Mapping[str, Any]) -> Product:
        """The product with this identity has these values; without one there it is made (`productSet`).

        `identifier` is one of `id`, `handle` and `customId`; `input` is a ProductSetInput. Lists in it replace the ones
        there: variants that it leaves out are deleted. A repeat sets the same again.
        """
        if len(identifier) != 1:
            raise InvalidOption("set_product: identify the product by one of id, handle and customId")
        given = {"handle": identifier["handle"], **input} if "handle" in identifier else dict(input)
        variables = {"identifier": dict(identifier), "input": given}
        return product((await self.payload(documents.PRODUCT_SET, variables, operation="set a product"))["product"])

    @action(repeat="keyed")
    async def set_inventory(
        self,
        quantities: Sequence[Mapping[str, Any]],
        *,
        name: str = "available",
        reason: str = "correction",
        reference: str | None = None,
    ) -> InventoryAdjustment:
        """These quantities of inventory items are as given (`inventorySetQuantities`).

        Each is an InventoryQuantityInput: `inventoryItemId`, `locationId`, `quantity`, and `changeFromQuantity`: what
        it must be before, else it raises VendorRejected (CHANGE_FROM_QUANTITY_STALE). Without that it is overwritten.
        """
        each = [{"changeFromQuantity": None, **one} for one in quantities]
        wanted = {"name": name, "reason": reason, "referenceDocumentUri": reference, "quantities": each}
        return await self._stock(documents.SET_QUANTITIES, wanted, "set inventory")

    @action(repeat="keyed")
    async def adjust_inventory(
        self,
        changes: Sequence[Mapping[str, Any]],
        *,
        name: str = "available",
        reason: str = "correction",
        reference: str | None = None,
    ) -> InventoryAdjustment:
        """These quantities of inventory items change by `delta` (`inventoryAdjustQuantities`), once.

        Each is an InventoryChangeInput: `inventoryItemId`, `locationId`, `delta`, and `changeFromQuantity` as above.
        """
        each = [{"changeFromQuantity": None, **one} for one in changes]
        wanted = {"name": name, "reason": reason, "referenceDocumentUri": reference, "changes": each}
        return await self._stock(documents.ADJUST_QUANTITIES, wanted, "adjust inventory")

    async def _stock(self, document: str, wanted: Json, operation: str) -> InventoryAdjustment:
        variables = {"input": wanted, "key": action_key(operation)}
        payload = await self.payload(document, variables, operation=operation)
        return adjustment(payload["inventoryAdjustmentGroup"])

    @action(repeat="safe")
    async def list_fulfillment_orders(self, order_id: int | str) -> list[dict[str, Any]]:
        """What is to be shipped of an order: its fulfillment orders with their lines, at most 20 with 20 each."""
        operation, id = "list fulfillment orders", gid("Order", order_id)
        found = (await self.data(documents.FULFILLMENT_ORDERS, {"id": id}, operation=operation))["order"]
        if found is None:
            raise self.not_there(operation)
        nodes: list[dict[str, Any]] = found["fulfillmentOrders"]["nodes"]
        return nodes

    @action(repeat="verify")
    async def fulfill(
        self,
        fulfillment_order_id: int | str,
        *,
        lines: Sequence[Mapping[str, Any]] = (),
        tracking: Mapping[str, Any] | None = None,
        notify_customer: bool = False,
        message: str | None = None,
    ) -> Fulfillment:
        """A shipment of that fulfillment order, of all of it without `lines` (`fulfillmentCreate`).

        `lines` are FulfillmentOrderLineItemInputs (`id`, `quantity`), `tracking` is a FulfillmentTrackingInput. A
        repeat looks for a fulfilment of the same order with the same tracking numbers, no older than the execution.
        """
        id = gid("FulfillmentOrder", fulfillment_order_id)
        if may_be_a_repeat() and (found := await self._earlier_fulfillment(id, tracking or {})) is not None:
            return found
        items = {"fulfillmentOrderId": id, **({"fulfillmentOrderLineItems": list(lines)} if lines else {})}
        wanted: dict[str, Any] = {"lineItemsByFulfillmentOrder": [items], "notifyCustomer": notify_customer}
        if tracking:
            wanted["trackingInfo"] = dict(tracking)
        variables = {"fulfillment": wanted, "message": message}
        payload = await self.payload(documents.FULFILL, variables, operation=f"fulfill {id}")
        return fulfillment(payload["fulfillment"])

    async def _earlier_fulfillment(self, id: str, tracking: Json) -> Fulfillment | None:
        """What an earlier attempt has made."""
        operation = f"look for fulfillments of {id}"
        found = (await self.data(documents.FULFILLMENTS, {"id": id}, operation=operation))["fulfillmentOrder"]
        if found is None:
            raise self.not_there(operation)
        since = not_before()
        numbers = {*tracking.get("numbers", []), *([tracking["number"]] if tracking.get("number") else [])}
        for raw in found["fulfillments"]["nodes"]:
            known = fulfillment(raw)
            is_live = known.status != "CANCELLED" and (since is None or known.created_at >= since)
            if is_live and set(known.tracking_numbers) == numbers:
                return known
        return None

    @action(repeat="safe")
    async def add_tags(self, id: str, tags: Sequence[str]) -> None:
        """The object with that gid has these tags, beside those that it had (`tagsAdd`)."""
        await self.payload(documents.TAGS_ADD, {"id": id, "tags": list(tags)}, operation=f"tag {id}")

    @action(repeat="safe")
    async def remove_tags(self, id: str, tags: Sequence[str]) -> None:
        """The object with that gid does not have these tags (`tagsRemove`)."""
        await self.payload(documents.TAGS_REMOVE, {"id": id, "tags": list(tags)}, operation=f"untag {id}")

    @action(repeat="safe")
    async def set_metafields(self, metafields: Sequence[Mapping[str, Any]]) -> list[Metafield]:
        """These metafields have these values, all or none; at most 25 (`metafieldsSet`).

        Each is a MetafieldsSetInput: `ownerId`, `namespace`, `key`, `type`, `value` (text), and `compareDigest` if it
        must be as it was: then a repeat after a lost answer raises VendorRejected (STALE_OBJECT).
        """
        variables = {"metafields": [dict(one) for one in metafields]}
        payload = await self.payload(documents.METAFIELDS_SET, variables, operation="set metafields")
        return [metafield(raw) for raw in payload["metafields"]]
