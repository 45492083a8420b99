"""A fake organization on a real socket, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell.connectors import AzureDevOps
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served
from stepwell.testing.vendors import FakeAzureDevOps

BIG = 2**53 + 1  # JavaScript would make it even


@pytest.fixture
async def fake() -> FakeAzureDevOps:
    return FakeAzureDevOps(first_id=BIG)


@pytest.fixture
async def lent(fake: FakeAzureDevOps) -> AsyncIterator[GivenConnections]:
    async with served(fake) as url:
        settings = {"base_url": f"{url}/fabrikam", "organization": "fabrikam", "project": "Shop"}
        async with lent_connections(connection("acme", "azure-devops", settings=settings, pat="pat-1")) as connections:
            yield connections


@pytest.fixture
def azure(lent: GivenConnections) -> AzureDevOps:
    return AzureDevOps("acme")
