"""A fake Workspace on a real socket, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell.connectors import ClickUp
from stepwell.testing.connections import GivenConnections, connection, lent_connections
from stepwell.testing.serving import served
from stepwell.testing.vendors import FakeClickUp

BIG = 2**53 + 1  # JavaScript would make it even


@pytest.fixture
async def fake() -> FakeClickUp:
    return FakeClickUp(first_id=BIG, fields={"f-1": "Key", "f-2": "Colour"}, lists={"901": "Inbox", "902": "Later"})


@pytest.fixture
async def lent(fake: FakeClickUp) -> AsyncIterator[GivenConnections]:
    async with served(fake) as url:
        settings = {"base_url": f"{url}/api/v2", "team": "9001"}
        async with lent_connections(connection("acme", "clickup", settings=settings, token="pk_1")) as connections:
            yield connections


@pytest.fixture
def clickup(lent: GivenConnections) -> ClickUp:
    return ClickUp("acme")


def with_settings(lent: GivenConnections, **settings: str) -> None:
    """The connection has these settings as well."""
    known = lent.given["acme"].settings
    lent.given["acme"] = connection("acme", "clickup", settings={**known, **settings}, token="pk_1")
