"""Typed events of Shopify, from recorded samples and the fake, the triggers for them, and lost ones found again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from stepwell.connectors import Shopify
from stepwell.connectors.events import ConnectorEvent
from stepwell.core.triggers import WebhookTrigger
from stepwell.errors import InvalidOption, InvalidValue, NotYet
from stepwell.sources import Request, Verified, source_named, verify
from stepwell.sources.samples import sample, sample_types
from stepwell.testing.vendors import FakeShopify
from tests.connectors.deliveries import SAMPLES, envelope_of, event_of


def recorded(name: str) -> bytes:
    return json.dumps(json.loads((SAMPLES / f"shopify/{name}.json").read_text("utf-8"))["payload"]).encode()


def headers(topic: str) -> dict[str, str]:
    return {"X-Shopify-Topic": topic, "X-Shopify-Event-Id": "e-1", "X-Shopify-Hmac-Sha256": "x"}


def test_recorded_order_keeps_its_id_beyond_2_53() -> None:
    event = event_of(Shopify.OrderEvent, "shopify", recorded("orders__create"), headers("orders/create"))

    assert (event.payload.id, event.payload.gid) == (820982911946154508, "gid://shopify/Order/820982911946154508")
    assert (event.payload.currency, event.payload.cancelled_at) == ("USD", datetime(2022, 1, 1, tzinfo=UTC))
    assert event.raw["id"] == 820982911946154508
    assert event.subject == "orders/create:gid://shopify/Order/820982911946154508"


def test_recorded_product_is_read() -> None:
    event = event_of(Shopify.ProductEvent, "shopify", recorded("products__update"), headers("products/update"))

    assert (event.payload.id, event.payload.title, event.payload.status) == (
        788032119674292922,
        "Example T-Shirt",
        "active",
    )
    assert event.payload.created_at is None
    assert event.payload.updated_at == datetime(2022, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("topic", sample_types("shopify"))
def test_sample_of_our_own_is_read(topic: str) -> None:
    kinds: dict[str, Any] = {
        "orders": Shopify.OrderEvent,
        "products": Shopify.ProductEvent,
        "customers": Shopify.CustomerEvent,
        "inventory_levels": Shopify.InventoryLevelEvent,
    }
    body = sample("shopify", topic, id=UUID(int=7), now=datetime(2030, 1, 1, tzinfo=UTC))

    event: ConnectorEvent[Any] = event_of(
        kinds.get(topic.partition("/")[0], Shopify.ShopifyEvent), "shopify", body, headers(topic)
    )

    assert event.type == topic
    assert event.payload.updated_at is not None


def test_deletion_has_a_number_only() -> None:
    event = event_of(Shopify.ProductEvent, "shopify", b'{"id":9007199254740993}', headers("products/delete"))

    assert event.payload.gid == "gid://shopify/Product/9007199254740993"
    assert event.payload.title is None


def test_inventory_events_are_read() -> None:
    level = {"inventory_item_id": 271878346596884015, "location_id": 24826418, "available": None, "updated_at": None}
    item = {
        "id": 271878346596884015,
        "sku": "S",
        "tracked": True,
        "admin_graphql_api_id": "gid://shopify/InventoryItem/2",
    }

    changed = event_of(
        Shopify.InventoryLevelEvent, "shopify", json.dumps(level).encode(), headers("inventory_levels/connect")
    )
    made = event_of(Shopify.InventoryItemEvent, "shopify", json.dumps(item).encode(), headers("inventory_items/create"))

    assert (changed.payload.inventory_item_id, changed.payload.available) == (271878346596884015, None)
    assert (made.payload.sku, made.payload.gid) == ("S", "gid://shopify/InventoryItem/2")


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"{}", b'{"id":"x"}', b'{"id":null}', b'{"id":1,"updated_at":"soon"}']
)
def test_body_that_is_no_order_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        event_of(Shopify.OrderEvent, "shopify", body, headers("orders/create"))


def test_triggers_are_by_topic() -> None:
    shopify = Shopify("acme")
    types = {name: getattr(shopify, name)().types for name in Shopify.triggers()}

    assert types["on_order_created"] == ("orders/create",)
    assert types["on_order_fulfilled"] == ("orders/fulfilled", "orders/partially_fulfilled")
    assert types["on_inventory_level_changed"] == ("inventory_levels/*",)
    assert shopify.on_topic("fulfillments/*", id="f") == WebhookTrigger("shopify", ("fulfillments/*",), "acme", "f")
    assert types["on_topic"] == ("*",)


def test_reconcile_needs_a_connection() -> None:
    assert Shopify("acme").on_order_created(reconcile="1h").reconcile is not None
    with pytest.raises(InvalidOption, match="name a connection"):
        Shopify().on_order_created(reconcile="1h")


URL = "https://example.com/hooks/shopify"


async def test_deliveries_are_signed_with_the_apps_secret(fake: FakeShopify) -> None:
    fake.subscribe("orders/create", URL)
    fake.create_order(("Socks", 1, "1.00"))

    (one,) = fake.outgoing.all
    request = Request.post(one.headers, one.body)
    assert isinstance(verify(source_named("shopify"), request, [b"shpss_1"], now=datetime.now(UTC)), Verified)
    assert envelope_of("shopify", one.body, one.headers).tenant == "acme.myshopify.com"


async def test_subscription_that_is_not_answered_is_dropped(fake: FakeShopify) -> None:
    fake.subscribe("orders/create", URL)
    fake.create_order(("Socks", 1, "1.00"))

    fake.outgoing.all[0].answered(500, 9)
    fake.create_order(("Socks", 1, "1.00"))

    assert len(fake.outgoing.all) == 1


CREATED = [
    ("orders/create", "find_created_orders", Shopify.OrderEvent),
    ("products/create", "find_created_products", Shopify.ProductEvent),
    ("customers/create", "find_created_customers", Shopify.CustomerEvent),
]


def make(fake: FakeShopify, topic: str) -> None:
    match topic.partition("/")[0]:
        case "orders":
            customer = fake.create_customer("Ada", "Example")["id"]
            fake.create_order(("Socks", 2, "1.50"), email="a@b.example", customer=customer)
        case "products":
            fake.create_product("Socks", sku="S", price="2.00")
        case _:
            fake.create_customer("Ada", "Example", email="ada@example.com")


@pytest.mark.parametrize(("topic", "look", "kind"), CREATED)
async def test_lost_creation_is_found_with_the_subject_and_payload_of_its_webhook(
    shopify: Shopify, fake: FakeShopify, topic: str, look: str, kind: type[ConnectorEvent[Any]]
) -> None:
    start = await getattr(shopify, look)(None)
    fake.subscribe(topic, URL)
    make(fake, topic)

    found = await getattr(shopify, look)(start.cursor)

    (event,), (webhook,) = found.events, fake.outgoing.all
    assert start.events == []
    assert event.envelope.subject == envelope_of("shopify", webhook.body, webhook.headers).subject
    told = event_of(kind, "shopify", webhook.body, webhook.headers)
    seen = event_of(kind, "shopify", event.body, headers(topic))
    assert seen.payload == told.payload


UPDATED = [
    ("orders/updated", "find_updated_orders", Shopify.OrderEvent),
    ("products/update", "find_updated_products", Shopify.ProductEvent),
]


@pytest.mark.parametrize(("topic", "look", "kind"), UPDATED)
async def test_lost_update_is_found_as_the_version_that_it_made(
    shopify: Shopify, fake: FakeShopify, topic: str, look: str, kind: type[ConnectorEvent[Any]]
) -> None:
    begin = datetime.now(UTC) - timedelta(days=1)
    fake.now = lambda: begin
    fake.subscribe(topic, URL)
    make(fake, topic)
    fake.now = lambda: begin + timedelta(hours=1)
    if topic.startswith("orders"):
        fake.update_order(next(iter(fake.orders)), displayFinancialStatus="REFUNDED")
    else:
        fake.put_product({"title": "Wool"}, [], next(iter(fake.products.values())))

    found = await getattr(shopify, look)((begin + timedelta(minutes=30)).isoformat())

    (event,), webhook = found.events, fake.outgoing.all[-1]
    assert event.envelope.subject == envelope_of("shopify", webhook.body, webhook.headers).subject
    told = event_of(kind, "shopify", webhook.body, webhook.headers)
    assert event_of(kind, "shopify", event.body, headers(topic)).payload == told.payload


async def test_looks_overlap_and_find_the_same_under_the_same_key(shopify: Shopify, fake: FakeShopify) -> None:
    start = await shopify.find_created_orders(None)
    make(fake, "orders/create")

    first = await shopify.find_created_orders(start.cursor)
    second = await shopify.find_created_orders(first.cursor)

    assert [one.envelope for one in first.events] == [one.envelope for one in second.events] != []


@pytest.mark.parametrize("apart", [timedelta(minutes=10), timedelta(0)])
async def test_long_outage_and_a_burst_are_gone_through_page_by_page(
    shopify: Shopify, fake: FakeShopify, apart: timedelta
) -> None:
    begin = datetime.now(UTC) - timedelta(days=30)
    made = set()
    for number in range(75):
        fake.now = lambda at=begin + number * apart: at  # type: ignore[misc]
        made.add(f"orders/create:{fake.create_order(('Socks', 1, '1.00'))['id']}")
    fake.now = lambda: datetime.now(UTC)

    cursor, subjects, looks, more = begin.isoformat(), list[str | None](), 0, True
    while more and looks < 20:
        found = await shopify.find_created_orders(cursor)
        cursor, more, looks = found.cursor, found.has_more, looks + 1
        subjects += [one.envelope.subject for one in found.events]

    assert sorted(map(str, subjects)) == sorted(made)
    assert looks == 8


async def test_limit_in_the_middle_of_a_look_keeps_what_was_read(shopify: Shopify, fake: FakeShopify) -> None:
    begin = datetime.now(UTC)
    for _ in range(15):
        fake.create_order(("Socks", 1, "1.00"))

    first = await shopify.find_created_orders(begin.isoformat())
    fake.switches.throttle()
    with pytest.raises(NotYet):
        await shopify.find_created_orders(first.cursor)

    assert (len(first.events), first.has_more) == (10, True)
