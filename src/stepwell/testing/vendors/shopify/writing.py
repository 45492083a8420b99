"""The fake's mutations. Those that must have an idempotency key are done once for each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import graphql

from stepwell.connectors.shopify.protocol import NEED_A_KEY
from stepwell.testing.vendors.shopify.reading import Reading
from stepwell.testing.vendors.shopify.records import Json, order_body
from stepwell.testing.vendors.shopify.shop import LOCATION

Resolver = Callable[..., Any]

MAX_METAFIELDS = 25


class Writing(Reading):
    """Fields of the mutation root."""

    def mutations(self) -> dict[str, Resolver]:
        """Each by its name."""
        return {
            "productSet": self._product_set,
            "inventorySetQuantities": self._set_quantities,
            "inventoryAdjustQuantities": self._adjust_quantities,
            "fulfillmentCreate": self._fulfill,
            "tagsAdd": lambda _info, id, tags: self._tag(id, lambda old: [*old, *(t for t in tags if t not in old)]),
            "tagsRemove": lambda _info, id, tags: self._tag(id, lambda old: [tag for tag in old if tag not in tags]),
            "metafieldsSet": self._set_metafields,
            "bulkOperationRunQuery": self.run_bulk,
            "webhookSubscriptionCreate": self._subscribe,
            "webhookSubscriptionDelete": self._unsubscribe,
        }

    @abstractmethod
    def run_bulk(self, _info: Any, *, query: str, **_: Any) -> Json:
        """Begin a bulk operation."""

    def once(self, field: str, key: str | None, variables: Json, do: Callable[[], Json]) -> Json:
        """What a mutation answers: if its key is known, what it answered then. Raises GraphQLError without a key."""
        if field not in NEED_A_KEY:
            return do()
        if key is None:
            raise graphql.GraphQLError(
                f"The @idempotent directive is required for {field}.", extensions={"code": "BAD_REQUEST"}
            )
        asked = repr((field, {name: value for name, value in variables.items() if value != key}))
        if key not in self.keys:
            self.keys[key] = asked, do()
        known, answered = self.keys[key]
        if known == asked:
            return answered
        told = "The same idempotency key cannot be used with different parameters."
        return {"userErrors": [_error(told, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")]}

    def _product_set(self, _info: Any, input: Json, identifier: Json | None = None, **_: Any) -> Json:
        who, values = dict(identifier or {}), dict(input)
        variants = values.pop("variants", None) or []
        known = next(
            (one for one in self.products.values() if who and all(one.get(n) == v for n, v in who.items())), None
        )
        if known is None and "id" in who:
            return {"userErrors": [_error("Product does not exist", "PRODUCT_DOES_NOT_EXIST", "identifier", "id")]}
        if not (values.get("title") or known):
            return {"userErrors": [_error("Title can't be blank", "INVALID_INPUT", "input", "title")]}
        made = [{name: one[name] for name in ("id", "sku", "price") if name in one} for one in variants]
        values = {
            name: value for name, value in values.items() if name not in ("productOptions", "metafields", "files")
        }
        return {"product": self.put_product(values, made, known), "userErrors": []}

    def _set_quantities(self, _info: Any, input: Json) -> Json:
        wanted = [(one, one["quantity"]) for one in input["quantities"]]
        return self._changed(input, wanted)

    def _adjust_quantities(self, _info: Any, input: Json) -> Json:
        wanted = [(one, self._there(one) + one["delta"]) for one in input["changes"]]
        return self._changed(input, wanted)

    def _there(self, one: Json) -> int:
        return self.stock.get((one["inventoryItemId"], one["locationId"]), 0)

    def _changed(self, input: Json, wanted: list[tuple[Json, int]]) -> Json:
        for one, _ in wanted:
            if (one["inventoryItemId"], one["locationId"]) not in self.stock:
                known = one["locationId"] == LOCATION
                what = ("inventory item", "INVALID_INVENTORY_ITEM") if known else ("location", "INVALID_LOCATION")
                return {"userErrors": [_error(f"The specified {what[0]} could not be found.", what[1], "input")]}
            if one.get("changeFromQuantity") not in (None, self._there(one)):
                told = "The specified compare quantity does not match the current quantity."
                return {"userErrors": [_error(told, "CHANGE_FROM_QUANTITY_STALE", "input")]}
        changes = [
            {
                "name": input["name"],
                "delta": self.set_stock(one["inventoryItemId"], quantity, location=one["locationId"]),
                "quantityAfterChange": quantity,
                "item": {"__typename": "InventoryItem", "id": one["inventoryItemId"]},
                "location": {"__typename": "Location", "id": one["locationId"]},
            }
            for one, quantity in wanted
        ]
        group = {
            "id": self.next_id("InventoryAdjustmentGroup"),
            "createdAt": self.time(),
            "reason": input["reason"],
            "referenceDocumentUri": input.get("referenceDocumentUri"),
            "changes": changes,
        }
        self.ledger.record("stock changed", group["id"])
        return {"inventoryAdjustmentGroup": group, "userErrors": []}

    def _fulfill(self, _info: Any, fulfillment: Json, **_: Any) -> Json:
        found = [
            self.fulfillment_order(one["fulfillmentOrderId"]) for one in fulfillment["lineItemsByFulfillmentOrder"]
        ]
        ready = [one for one in found if one is not None and one["status"] == "OPEN"]
        if len(ready) < len(found):
            told = "Fulfillment order does not exist or has an unfulfillable status."
            return {"userErrors": [_error(told, None, "fulfillment")]}
        tracking = fulfillment.get("trackingInfo") or {}
        numbers = tracking.get("numbers") or ([tracking["number"]] if tracking.get("number") else [])
        at = self.time()
        made: Json = {
            "__typename": "Fulfillment",
            "id": self.next_id("Fulfillment"),
            "status": "SUCCESS",
            "createdAt": at,
            "updatedAt": at,
            "totalQuantity": sum(line["remainingQuantity"] for one in ready for line in one["_lines"]),
            "trackingInfo": [
                {"company": tracking.get("company"), "number": number, "url": tracking.get("url")} for number in numbers
            ],
        }
        for one in ready:
            self._ship(one, made)
        self.ledger.record("fulfillment created", made["id"])
        return {"fulfillment": made, "userErrors": []}

    def _ship(self, fulfillment_order: Json, fulfillment: Json) -> None:
        fulfillment_order["status"] = "CLOSED"
        fulfillment_order["_fulfillments"].append(fulfillment)
        for line in fulfillment_order["_lines"]:
            line["remainingQuantity"] = 0
        order = self.update_order(fulfillment_order["_order"], displayFulfillmentStatus="FULFILLED")
        self.happened("orders/fulfilled", order_body(order))

    def _tag(self, id: str, change: Callable[[list[str]], list[str]]) -> Json:
        thing = {**self.orders, **self.products, **self.customers}.get(id)
        if thing is None:
            return {"userErrors": [_error("Resource does not exist", None, "id")]}
        tags = change(thing["tags"])
        if tags != thing["tags"]:
            thing.update(tags=tags, updatedAt=self.time())
            self.ledger.record("tags changed", id)
        return {"node": thing, "userErrors": []}

    def _set_metafields(self, _info: Any, metafields: list[Json]) -> Json:
        if len(metafields) > MAX_METAFIELDS:
            told = f"Exceeded the maximum metafields input limit of {MAX_METAFIELDS}."
            return {"userErrors": [_error(told, "LESS_THAN_OR_EQUAL_TO", "metafields")]}
        made = []
        for one in metafields:
            key = one["ownerId"], one.get("namespace") or "app--1", one["key"]
            known = self.metafields.get(key) or {"id": self.next_id("Metafield"), "type": "single_line_text_field"}
            self.metafields[key] = {**known, "namespace": key[1], "key": key[2], "value": one["value"]}
            if one.get("type"):
                self.metafields[key]["type"] = one["type"]
            made.append(self.metafields[key])
            self.ledger.record("metafield set", self.metafields[key]["id"])
        return {"metafields": made, "userErrors": []}

    def _subscribe(self, _info: Any, topic: str, webhookSubscription: Json) -> Json:  # noqa: N803
        uri = webhookSubscription.get("uri") or webhookSubscription.get("callbackUrl")
        if any((one["topic"], one["uri"]) == (topic, uri) for one in self.subscriptions.values()):
            told = "Address for this topic has already been taken"
            return {"userErrors": [_error(told, None, "webhookSubscription", "callbackUrl")]}
        made = self.subscribe(topic, str(uri))
        made["filter"] = webhookSubscription.get("filter")
        return {"webhookSubscription": made, "userErrors": []}

    def _unsubscribe(self, _info: Any, id: str) -> Json:
        if self.subscriptions.pop(id, None) is None:
            return {"userErrors": [_error("Webhook subscription does not exist", None, "id")]}
        self.ledger.record("webhook deleted", id)
        return {"deletedWebhookSubscriptionId": id, "userErrors": []}


def _error(message: str, code: str | None, *field: str) -> Json:
    return {"message": message, "code": code, "field": list(field) or None}
