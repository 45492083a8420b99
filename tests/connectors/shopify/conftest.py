"""A fake shop on a real socket, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell.connectors import Shopify
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served
from stepwell.testing.vendors import FakeShopify


@pytest.fixture
async def fake() -> FakeShopify:
    return FakeShopify(points=20_000.0, restore_rate=1_000.0)


@pytest.fixture
async def lent(fake: FakeShopify) -> AsyncIterator[GivenConnections]:
    async with served(fake) as url:
        settings = {"base_url": url, "shop": "acme", "points_per_second": "1000"}
        async with lent_connections(connection("acme", "shopify", settings=settings, token="shpat_1")) as connections:
            yield connections


@pytest.fixture
def shopify(lent: GivenConnections) -> Shopify:
    return Shopify("acme")
