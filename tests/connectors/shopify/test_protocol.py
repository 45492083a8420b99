"""What Shopify's answers mean, and how its points are counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell.connectors import Answer, Shopify, VendorError
from stepwell.connectors.outcome import Done, Expired, Failed, Limited, Outcome, Rejected
from stepwell.connectors.shopify.protocol import API_VERSION
from stepwell.core.connections import Budget
from stepwell.errors import InvalidOption, NeedsReauthorisation, NotYet
from stepwell.testing.connections import connection
from stepwell.testing.vendors import FakeShopify

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def judged(body: object, status: int = 200, **headers: str) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Shopify().judge(Answer(status, {key.replace("_", "-"): text for key, text in headers.items()}, raw), now=NOW)


def cost(requested: float, available: float, rate: float = 50.0) -> dict[str, Any]:
    throttle = {"maximumAvailable": 1000.0, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": throttle}}


def errors(code: str | None, message: str = "no") -> list[dict[str, Any]]:
    return [{"message": message, **({"extensions": {"code": code}} if code else {})}]


def test_answer_tells_what_is_left_in_the_bucket() -> None:
    recorded = {"data": {"product": {"id": "gid://shopify/Product/7608002183224"}}, "extensions": cost(1, 999)}

    assert judged(recorded) == Done(999.0)
    assert judged({"data": {}}) == Done()


def test_throttled_query_waits_until_the_bucket_holds_what_it_costs() -> None:
    recorded = {"errors": errors("THROTTLED", "Throttled"), "extensions": cost(202, 118)}

    assert judged(recorded) == Limited(timedelta(seconds=(202 - 118) / 50), 118.0)
    assert judged({"errors": errors("THROTTLED")}) == Limited(timedelta(seconds=1))
    assert judged({"errors": errors("THROTTLED"), "extensions": cost(10, 900)}) == Limited(timedelta(seconds=1), 900.0)
    assert judged({"errors": errors("THROTTLED"), "extensions": cost(1e300, 0, 1)}) == Limited(
        timedelta(minutes=5), 0.0
    )


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "TIMEOUT"])
def test_vendors_fault_in_a_200_is_tried_again(code: str) -> None:
    assert judged({"data": None, "errors": errors(code)}) == Failed("answered no")


@pytest.mark.parametrize("code", ["MAX_COST_EXCEEDED", "ACCESS_DENIED", "undefinedField", None])
def test_refused_query_is_not_tried_again(code: str | None) -> None:
    assert judged({"data": {"shop": None}, "errors": errors(code)}) == Rejected("no", code)


def test_answers_without_graphql_are_judged_by_their_status() -> None:
    assert judged({"errors": "Not Found"}, 404) == Rejected("answered 404: Not Found")
    assert judged({"errors": "[API] Invalid API key or access token"}, 401) == Expired(
        '{"errors": "[API] Invalid API key or access token"}'
    )
    assert judged({"errors": "slow down"}, 429, retry_after="2.0") == Limited(timedelta(seconds=2))
    assert isinstance(judged(b"<html>", 502), Failed)
    assert isinstance(judged({"errors": "locked"}, 423), Rejected)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{", b'{"errors":[1]}', b"[" * 100_000])
def test_body_that_is_no_graphql_harms_nobody(body: bytes) -> None:
    assert isinstance(judged(body), Done)
    assert isinstance(judged(body, 400), Rejected)


def test_allowance_is_that_of_the_plan() -> None:
    assert Shopify().budget(connection("a", "shopify")) == Budget("points", 2_000.0, 100.0)
    assert Shopify().budget(connection("a", "shopify", settings={"points_per_second": "1000"})) == Budget(
        "points", 20_000.0, 1_000.0
    )


@pytest.mark.parametrize("told", ["0", "-1", "many", "nan", "inf"])
def test_allowance_that_is_no_number_is_refused(told: str) -> None:
    with pytest.raises(InvalidOption, match="points_per_second"):
        Shopify().budget(connection("a", "shopify", settings={"points_per_second": told}))


def test_requests_go_to_the_shop_in_the_version_that_is_set() -> None:
    here, there = {"shop": "acme"}, {"shop": "acme", "version": "2026-07"}

    address = Shopify().address(connection("a", "shopify", settings=here))
    assert address == f"https://acme.myshopify.com/admin/api/{API_VERSION}"
    assert Shopify().address(connection("a", "shopify", settings=there)).endswith("/admin/api/2026-07")


async def test_token_is_sent_in_its_header_and_a_refused_one_needs_somebody(
    shopify: Shopify, fake: FakeShopify
) -> None:
    await shopify.check()
    fake.expire_tokens()

    with pytest.raises(NeedsReauthorisation):
        await shopify.check()


async def test_throttled_step_is_put_off_and_the_connection_closed(shopify: Shopify, fake: FakeShopify) -> None:
    fake.switches.throttle()

    with pytest.raises(NotYet, match="Shopify limits"):
        await shopify.check()
    with pytest.raises(NotYet, match="Shopify limits"):
        await shopify.check()
    assert len(fake.asked) == 1


async def test_empty_bucket_of_the_shop_is_known_from_its_answers(shopify: Shopify, fake: FakeShopify) -> None:
    fake.max_points = fake._points = 5.0
    fake.restore_rate = 0.001
    await shopify.check()

    with pytest.raises(NotYet, match="rate limit"):
        await shopify.list_orders(first=10)


async def test_failure_in_a_200_is_tried_again(shopify: Shopify, fake: FakeShopify) -> None:
    fake.switches.fail(status=200)

    with pytest.raises(VendorError, match="Internal error"):
        await shopify.check()
    assert await shopify.check()
