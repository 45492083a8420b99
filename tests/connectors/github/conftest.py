"""A fake GitHub on a real socket, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell.connectors import GitHub
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served
from stepwell.testing.vendors import FakeGitHub

BIG = 2**53 + 1  # JavaScript would make it even
SHOP = "octo-org/shop"
HOOK = "https://hooks.example.com/hooks/github"


@pytest.fixture
async def fake() -> FakeGitHub:
    return FakeGitHub(first_id=BIG)


@pytest.fixture
async def lent(fake: FakeGitHub) -> AsyncIterator[GivenConnections]:
    async with (
        served(fake) as url,
        lent_connections(connection("acme", "github", settings={"base_url": url}, token="ghp_1")) as connections,
    ):
        yield connections


@pytest.fixture
def github(lent: GivenConnections) -> GitHub:
    return GitHub("acme")
