"""What the fake shop keeps: objects as GraphQL has them, and the bodies of webhooks that tell of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import graphql

Json = dict[str, Any]

PAGE = 250
_TERM = re.compile(r"(\w+):(>=|<=|>|<)?(?:'([^']*)'|\"([^\"]*)\"|(\S+))")


def text_of(at: datetime) -> str:
    """A time as the API writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def money(amount: str, currency: str) -> Json:
    """An amount in the shop's currency and in the customer's, which is the same here."""
    value = {"amount": amount, "currencyCode": currency}
    return {"shopMoney": value, "presentmentMoney": value}


def connection(items: Sequence[Json]) -> Callable[..., Json]:
    """A resolver of a connection over these, in their order."""
    return lambda info, **arguments: page_of(items, arguments, info)


BULK = "bulk"
"""The context of a bulk query, whose connections are read whole."""


def page_of(items: Sequence[Json], arguments: Mapping[str, Any], info: Any) -> Json:
    """The page of a connection: cursors are places in the list."""
    first, after = arguments.get("first"), arguments.get("after")
    if info.context == BULK:
        return {"nodes": list(items), "edges": [{"node": node} for node in items]}
    if first is None:
        raise graphql.GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if first > PAGE:
        raise graphql.GraphQLError(f"first cannot exceed {PAGE}", extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    start = int(after) if after else 0
    nodes = list(items[start : start + first])
    end = start + len(nodes)
    edges = [{"node": node, "cursor": str(start + number + 1)} for number, node in enumerate(nodes)]
    info = {
        "hasNextPage": end < len(items),
        "hasPreviousPage": start > 0,
        "startCursor": str(start + 1) if nodes else None,
        "endCursor": str(end) if nodes else None,
    }
    return {"nodes": nodes, "edges": edges, "pageInfo": info}


SEARCHED = {
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "processed_at": "processedAt",
    "name": "name",
    "email": "email",
    "handle": "handle",
    "title": "title",
    "status": "status",
    "vendor": "vendor",
    "tag": "tags",
    "id": "id",
}


def searched(items: Iterable[Json], query: str | None) -> list[Json]:
    """The items that fulfil all terms of a search. Raises GraphQLError for a term that the fake does not know."""
    found = list(items)
    for name, operator, *texts in _TERM.findall(query or ""):
        if name not in SEARCHED:
            raise graphql.GraphQLError(f"the fake shop cannot search by {name}; it can by {', '.join(SEARCHED)}")
        wanted = next((text for text in texts if text), "")
        found = [one for one in found if _fulfils(one.get(SEARCHED[name]), operator, wanted)]
    return found


def _fulfils(value: Any, operator: str, wanted: str) -> bool:
    if isinstance(value, list):
        return wanted in value
    if not operator:
        return str(value) == wanted or str(value).rpartition("/")[2] == wanted
    at, than = (datetime.fromisoformat(text) for text in (str(value), wanted))
    than = than if than.tzinfo else than.replace(tzinfo=UTC)
    return {">=": at >= than, "<=": at <= than, ">": at > than, "<": at < than}[operator]


def by(items: list[Json], sort: str, *, reverse: bool) -> list[Json]:
    """The items in the order of a sort key; those that the fake does not know come as they were made."""
    field = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "TITLE": "title", "NAME": "name"}.get(sort)
    ordered = sorted(items, key=lambda one: str(one[field])) if field else list(items)
    return ordered[::-1] if reverse else ordered


def number_of(gid: str) -> int:
    """The number in a global id."""
    return int(gid.rpartition("/")[2].partition("?")[0])


def _common(thing: Json) -> Json:
    return {
        "id": number_of(thing["id"]),
        "admin_graphql_api_id": thing["id"],
        "created_at": thing["createdAt"],
        "updated_at": thing["updatedAt"],
        "tags": ", ".join(thing["tags"]),
    }


def order_body(order: Json) -> Json:
    """An order as its webhooks write it."""
    price = order["totalPriceSet"]["shopMoney"]
    fulfilled = order["displayFulfillmentStatus"] == "FULFILLED"
    return {
        **_common(order),
        "name": order["name"],
        "email": order["email"],
        "currency": order["currencyCode"],
        "total_price": price["amount"],
        "financial_status": order["displayFinancialStatus"].lower(),
        "fulfillment_status": "fulfilled" if fulfilled else None,
        "cancelled_at": order["cancelledAt"],
        "test": order["test"],
        "customer": {"id": number_of(order["customer"]["id"])} if order["customer"] else None,
        "line_items": [
            {
                "id": number_of(line["id"]),
                "admin_graphql_api_id": line["id"],
                "title": line["title"],
                "sku": line["sku"],
                "quantity": line["quantity"],
                "price": line["originalUnitPriceSet"]["shopMoney"]["amount"],
                "variant_id": number_of(line["variant"]["id"]) if line["variant"] else None,
            }
            for line in order["_lines"]
        ],
    }


def product_body(product: Json) -> Json:
    """A product as its webhooks write it."""
    return {
        **_common(product),
        "title": product["title"],
        "handle": product["handle"],
        "status": product["status"].lower(),
        "vendor": product["vendor"],
        "product_type": product["productType"],
        "variants": [
            {
                "id": number_of(one["id"]),
                "admin_graphql_api_id": one["id"],
                "title": one["title"],
                "sku": one["sku"],
                "price": one["price"],
                "inventory_item_id": number_of(one["inventoryItem"]["id"]),
                "inventory_quantity": one["inventoryQuantity"],
            }
            for one in product["_variants"]
        ],
    }


def customer_body(customer: Json) -> Json:
    """A customer as its webhooks write it."""
    return {
        **_common(customer),
        "email": (customer["defaultEmailAddress"] or {}).get("emailAddress"),
        "first_name": customer["firstName"],
        "last_name": customer["lastName"],
        "phone": None,
        "state": customer["state"].lower(),
    }
