"""Actions against the fake shop over a real socket; each operation is checked there by Shopify's own schema."""

from __future__ import annotations

import pytest

from stepwell.connectors import Shopify, VendorError, VendorRejected
from stepwell.errors import InvalidOption
from stepwell.testing.vendors import FakeShopify
from stepwell.testing.vendors.shopify.shop import LOCATION
from tests.connectors.attempts import attempt

BIG = 2**53


async def test_order_is_read_with_its_exact_id_lines_and_money(shopify: Shopify, fake: FakeShopify) -> None:
    fake.create_product("Socks", sku="SK-1", price="4.50")
    customer = fake.create_customer("Ada", "Example", email="ada@example.com")
    made = fake.create_order(("Socks", 3, "4.50"), ("Gift", 1, "0.10"), email="a@b.example", customer=customer["id"])

    order = await shopify.get_order(int(made["id"].rpartition("/")[2]))

    assert order.id == made["id"]
    assert int(order.id.rpartition("/")[2]) > BIG
    assert order.total == Shopify.Money("13.60", "EUR")
    assert [(line.title, line.sku, line.quantity) for line in order.line_items] == [
        ("Socks", "SK-1", 3),
        ("Gift", None, 1),
    ]
    assert (order.financial_status, order.fulfillment_status, order.cancelled_at) == ("PAID", "UNFULFILLED", None)
    assert (order.customer_id, order.email) == (customer["id"], "a@b.example")
    assert order.created_at.tzinfo is not None


async def test_product_and_customer_are_read(shopify: Shopify, fake: FakeShopify) -> None:
    made = fake.create_product("Warm Socks", sku="SK-2", price="9.00", tags=["wool"])
    person = fake.create_customer("Ada", "Example", email="ada@example.com")

    product, customer = await shopify.get_product(made["id"]), await shopify.get_customer(person["id"])

    assert (product.handle, product.status, product.tags) == ("warm-socks", "ACTIVE", ["wool"])
    assert [(one.sku, one.price, one.quantity) for one in product.variants] == [("SK-2", "9.00", 0)]
    assert (customer.name, customer.email, customer.state) == ("Ada Example", "ada@example.com", "ENABLED")


@pytest.mark.parametrize("read", ["get_order", "get_product", "get_customer"])
async def test_object_that_is_not_there_is_rejected(shopify: Shopify, read: str) -> None:
    with pytest.raises(VendorRejected, match="no such object") as rejected:
        await getattr(shopify, read)(1)
    assert rejected.value.status == 404


async def test_orders_come_in_pages_by_cursor(shopify: Shopify, fake: FakeShopify) -> None:
    made = [fake.create_order(("A", 1, "1.00"))["id"] for _ in range(5)]

    seen: list[str] = []
    cursor = None
    pages = 0
    while pages == 0 or cursor:
        page = await shopify.list_orders(first=2, sort="ID", cursor=cursor)
        seen, cursor, pages = [*seen, *(order.id for order in page.orders)], page.cursor, pages + 1

    assert (seen, pages) == (made, 3)


async def test_lists_are_searched_and_sorted(shopify: Shopify, fake: FakeShopify) -> None:
    for name in ("Beta", "Alpha"):
        fake.create_product(name, tags=["x"])
    fake.create_product("Other")
    fake.create_customer("Ada", "Example")

    products = await shopify.list_products(query="tag:x", sort="TITLE")
    customers = await shopify.list_customers(query="updated_at:>'2001-01-01'")

    assert [one.title for one in products.products] == ["Alpha", "Beta"]
    assert [one.name for one in customers.customers] == ["Ada Example"]
    with pytest.raises(InvalidOption, match="1 to 250"):
        await shopify.list_orders(first=251)


async def test_page_that_costs_too_many_points_is_rejected_by_its_code(shopify: Shopify) -> None:
    with pytest.raises(VendorRejected, match="Query cost is") as rejected:
        await shopify.list_orders(first=250)
    assert rejected.value.code == "MAX_COST_EXCEEDED"


async def test_product_is_set_by_its_handle_once(shopify: Shopify, fake: FakeShopify) -> None:
    values = {"title": "Socks", "tags": ["a"], "variants": [{"optionValues": [], "sku": "S", "price": "1.00"}]}
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await shopify.set_product({"handle": "socks"}, values)

    with attempt(2):
        product = await shopify.set_product({"handle": "socks"}, values)

    assert fake.ledger.count("product created") == 1
    assert (product.handle, product.title, [one.sku for one in product.variants]) == ("socks", "Socks", ["S"])
    with pytest.raises(InvalidOption, match="one of id, handle and customId"):
        await shopify.set_product({}, values)


async def test_what_the_shop_refuses_is_rejected_with_field_and_code(shopify: Shopify) -> None:
    with pytest.raises(VendorRejected, match=r"input\.title: Title can't be blank") as rejected:
        await shopify.set_product({"handle": "x"}, {"tags": []})
    assert rejected.value.code == "INVALID_INPUT"


async def test_stock_is_set_to_what_was_wanted_if_it_is_as_expected(shopify: Shopify, fake: FakeShopify) -> None:
    item = fake.create_product("Socks")["_variants"][0]["inventoryItem"]["id"]
    where = {"inventoryItemId": item, "locationId": LOCATION}

    done = await shopify.set_inventory([{**where, "quantity": 7, "changeFromQuantity": 0}])

    assert [(one.inventory_item_id, one.delta, one.quantity_after) for one in done.changes] == [(item, 7, 7)]
    with pytest.raises(VendorRejected) as stale:
        await shopify.set_inventory([{**where, "quantity": 9, "changeFromQuantity": 1}])
    assert stale.value.code == "CHANGE_FROM_QUANTITY_STALE"


async def test_adjustment_whose_answer_is_lost_is_made_once(shopify: Shopify, fake: FakeShopify) -> None:
    item = fake.create_product("Socks")["_variants"][0]["inventoryItem"]["id"]
    changes = [{"inventoryItemId": item, "locationId": LOCATION, "delta": 5}]
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await shopify.adjust_inventory(changes)

    with attempt(2):
        again = await shopify.adjust_inventory(changes)
    with attempt(1, step="another"):
        await shopify.adjust_inventory(changes)

    assert [one.quantity_after for one in again.changes] == [5]
    assert fake.stock[item, LOCATION] == 10
    assert fake.ledger.count("stock changed") == 2


async def test_key_that_is_used_for_something_else_is_rejected(shopify: Shopify, fake: FakeShopify) -> None:
    item = fake.create_product("Socks")["_variants"][0]["inventoryItem"]["id"]
    change = {"inventoryItemId": item, "locationId": LOCATION}
    with attempt(1):
        await shopify.adjust_inventory([{**change, "delta": 5}])

    with attempt(2), pytest.raises(VendorRejected) as rejected:
        await shopify.adjust_inventory([{**change, "delta": 6}])
    assert rejected.value.code == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"


async def test_order_is_fulfilled_once_though_the_answer_is_lost(shopify: Shopify, fake: FakeShopify) -> None:
    order = fake.create_order(("Socks", 2, "1.00"))
    (wanted,) = await shopify.list_fulfillment_orders(order["id"])
    tracking = {"number": "TR-1", "company": "Post"}
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await shopify.fulfill(wanted["id"], tracking=tracking)

    with attempt(2):
        done = await shopify.fulfill(wanted["id"], tracking=tracking)

    assert (done.status, done.tracking_numbers) == ("SUCCESS", ["TR-1"])
    assert fake.ledger.count("fulfillment created") == 1
    with attempt(2, step="another"), pytest.raises(VendorRejected, match="unfulfillable"):
        await shopify.fulfill(wanted["id"], tracking={"number": "TR-2"})


async def test_fulfilment_that_never_got_through_is_made_by_the_repeat(shopify: Shopify, fake: FakeShopify) -> None:
    (wanted,) = await shopify.list_fulfillment_orders(fake.create_order(("Socks", 2, "1.00"))["id"])

    with attempt(2):
        done = await shopify.fulfill(wanted["id"])

    assert done.tracking_numbers == []
    assert fake.ledger.count("fulfillment created") == 1


async def test_tags_are_there_or_not_however_often_it_is_asked_for(shopify: Shopify, fake: FakeShopify) -> None:
    id = fake.create_order(("Socks", 2, "1.00"))["id"]

    for _ in range(2):
        await shopify.add_tags(id, ["a", "b"])
    assert (await shopify.get_order(id)).tags == ["a", "b"]
    for _ in range(2):
        await shopify.remove_tags(id, ["a"])
    assert (await shopify.get_order(id)).tags == ["b"]
    assert fake.ledger.count("tags changed") == 2
    with pytest.raises(VendorRejected, match="does not exist"):
        await shopify.add_tags("gid://shopify/Order/1", ["a"])


async def test_metafields_are_set(shopify: Shopify, fake: FakeShopify) -> None:
    id = fake.create_order(("Socks", 2, "1.00"))["id"]
    one = {"ownerId": id, "namespace": "erp", "key": "number", "type": "single_line_text_field", "value": "17"}

    first = await shopify.set_metafields([one])
    again = await shopify.set_metafields([{**one, "value": "18"}])

    assert [(field.namespace, field.key, field.value) for field in again] == [("erp", "number", "18")]
    assert first[0].id == again[0].id


async def test_webhook_whose_answer_is_lost_is_made_once_and_is_gone_as_often_as_deleted(
    shopify: Shopify, fake: FakeShopify
) -> None:
    uri = "https://example.com/hooks/shopify"
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await shopify.create_webhook("orders/create", uri)

    with attempt(2):
        made = await shopify.create_webhook("orders/create", uri)
    other = await shopify.create_webhook("inventory_levels/update", uri, filter="available:>0")

    assert [(one.id, one.topic) for one in await shopify.list_webhooks()] == [
        (made.id, "orders/create"),
        (other.id, "inventory_levels/update"),
    ]
    await shopify.delete_webhook(made.id)
    await shopify.delete_webhook(made.id)
    assert await shopify.list_webhooks(topic="orders/create") == []


async def test_query_of_the_users_own_is_run(shopify: Shopify, fake: FakeShopify) -> None:
    id = fake.create_order(("Socks", 2, "1.00"))["id"]

    data = await shopify.query("query Name($id: ID!) { order(id: $id) { name } }", {"id": id})

    assert data == {"order": {"name": "#1001"}}
    with pytest.raises(VendorRejected, match=r"query Oops: .*Cannot query field 'nam'"):
        await shopify.query("query Oops { shop { nam } }")
    with pytest.raises(InvalidOption, match=r"mutate\(\) runs mutations"):
        await shopify.query('# query\nmutation M { tagsAdd(id: "query", tags: []) { node { id } } }')


SET = """mutation Set($input: InventorySetQuantitiesInput!, $idempotencyKey: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $idempotencyKey) {
    inventoryAdjustmentGroup { id }
    userErrors { message code field }
  }
}"""


async def test_mutation_of_the_users_own_gets_the_key_that_it_declares(shopify: Shopify, fake: FakeShopify) -> None:
    item = fake.create_product("Socks")["_variants"][0]["inventoryItem"]["id"]
    quantities = [{"inventoryItemId": item, "locationId": LOCATION, "quantity": 5}]
    variables = {"input": {"name": "available", "reason": "correction", "quantities": quantities}}

    with attempt(1):
        first = await shopify.mutate(SET, variables)
    with attempt(2):
        again = await shopify.mutate(SET, variables)

    assert first == again
    assert fake.ledger.count("stock changed") == 1
    bad = {
        "input": {
            **variables["input"],
            "quantities": [{**quantities[0], "inventoryItemId": "gid://shopify/InventoryItem/1"}],
        }
    }
    with pytest.raises(VendorRejected, match="mutation Set") as rejected:
        await shopify.mutate(SET, bad)
    assert rejected.value.code == "INVALID_INVENTORY_ITEM"


async def test_mutation_without_a_key_must_be_repeatable_and_some_must_have_one(
    shopify: Shopify, fake: FakeShopify
) -> None:
    id = fake.create_order(("Socks", 2, "1.00"))["id"]
    tag = f'mutation {{ tagsAdd(id: "{id}", tags: ["a"]) {{ node {{ id }} userErrors {{ message }} }} }}'

    with pytest.raises(InvalidOption, match="could do it twice"):
        await shopify.mutate(tag)
    data = await shopify.mutate(tag, is_repeatable=True)
    with pytest.raises(InvalidOption, match="refuses inventorySetQuantities without a key"):
        await shopify.mutate(SET.replace("$idempotencyKey", "$other"), {}, is_repeatable=True)

    assert data["tagsAdd"]["node"] == {"id": id}


async def test_check_says_which_shop_it_is(shopify: Shopify) -> None:
    assert await shopify.check() == "Acme (acme.myshopify.com)"
