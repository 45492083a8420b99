"""Bulk operations: begun once, waited for without holding anything, read page by page."""

from __future__ import annotations

import pytest

from stepwell.connectors import Shopify, VendorError, VendorRejected
from stepwell.errors import InvalidOption, NotYet
from stepwell.testing.vendors import FakeShopify
from tests.connectors.attempts import attempt
from tests.connectors.deliveries import event_of

QUERY = """{
  orders { edges { node { id name lineItems { edges { node { id title } } } } } }
}"""


async def test_bulk_query_whose_answer_is_lost_is_begun_once(shopify: Shopify, fake: FakeShopify) -> None:
    fake.switches.drop_after_commit()
    with attempt(1), pytest.raises(VendorError):
        await shopify.run_bulk_query(QUERY)

    with attempt(2):
        again = await shopify.run_bulk_query(QUERY)
        other = await shopify.run_bulk_query(QUERY.replace(" name", ""))

    assert fake.ledger.count("bulk operation created") == 2
    assert again.id != other.id


async def test_step_is_put_off_until_the_operation_has_ended(shopify: Shopify, fake: FakeShopify) -> None:
    fake.bulk_looks = 2
    fake.create_order(("Socks", 1, "1.00"))
    operation = await shopify.run_bulk_query(QUERY)

    for _ in range(2):
        with pytest.raises(NotYet, match="is RUNNING") as put_off:
            await shopify.finished_bulk_query(operation.id, look_every="1m")
        assert put_off.value.delay.total_seconds() == 60
    ended = await shopify.finished_bulk_query(operation.id)

    assert (ended.status, ended.objects) == ("COMPLETED", 2)


async def test_operation_that_failed_is_rejected_with_its_reason(shopify: Shopify, fake: FakeShopify) -> None:
    fake.bulk_looks, fake.bulk_fails = 0, True
    operation = await shopify.run_bulk_query(QUERY)

    with pytest.raises(VendorRejected, match="ended as FAILED") as rejected:
        await shopify.finished_bulk_query(operation.id)
    assert rejected.value.code == "INTERNAL_SERVER_ERROR"
    with pytest.raises(VendorRejected, match="Invalid bulk query"):
        await shopify.run_bulk_query("{ nothing }")


async def ended(shopify: Shopify, fake: FakeShopify) -> str:
    fake.bulk_looks = 0
    operation = await shopify.finished_bulk_query((await shopify.run_bulk_query(QUERY)).id)
    assert operation.url is not None
    return operation.url


@pytest.mark.parametrize("bytes", [60, 100, 317, 100_000])
async def test_rows_are_read_in_pages_of_any_size(shopify: Shopify, fake: FakeShopify, bytes: int) -> None:
    for number in range(7):
        fake.create_order(("Süße Socken \u2028", 1, "1.00"), (f"Gift {number}", 1, "1.00"))
    url = await ended(shopify, fake)

    rows: list[dict[str, object]] = []
    at = pages = 0
    while True:
        page = await shopify.read_bulk_rows(url, start_byte=at, bytes=bytes)
        rows, pages = [*rows, *page.rows], pages + 1
        if page.next_byte is None:
            break
        at = page.next_byte

    orders = [row for row in rows if "__parentId" not in row]
    assert [order["name"] for order in orders] == [order["name"] for order in fake.orders.values()]
    assert len(rows) == 7 * 3
    assert {row["__parentId"] for row in rows if "__parentId" in row} == set(fake.orders)
    assert pages == 1 or bytes < 100_000


async def test_rows_are_read_from_where_files_are_stored_without_the_token(shopify: Shopify, fake: FakeShopify) -> None:
    fake.create_order(("Socks", 1, "1.00"))

    page = await shopify.read_bulk_rows(await ended(shopify, fake))  # the fake answers 400 to one with it

    assert len(page.rows) == 2
    with pytest.raises(InvalidOption, match="url of a bulk operation"):
        await shopify.read_bulk_rows("/admin/api")


async def test_page_behind_the_end_is_empty(shopify: Shopify, fake: FakeShopify) -> None:
    fake.create_order(("Socks", 1, "1.00"))

    page = await shopify.read_bulk_rows(await ended(shopify, fake), start_byte=10_000)

    assert (page.rows, page.next_byte) == ([], None)


async def test_end_is_told_by_a_delivery(shopify: Shopify, fake: FakeShopify) -> None:
    fake.subscribe("bulk_operations/finish", "https://example.com")
    fake.create_order(("Socks", 1, "1.00"))
    await ended(shopify, fake)

    (delivery,) = fake.outgoing.all
    event = event_of(Shopify.BulkQueryFinished, "shopify", delivery.body, delivery.headers)

    assert (event.payload.status, event.payload.error) == ("completed", None)
    assert (await shopify.get_bulk_query(event.payload.id)).status == "COMPLETED"
