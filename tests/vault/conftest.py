"""A vault over a store, on memory and on PostgreSQL, and a vendor on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell.testing.serving import served
from tests.store.conftest import world as world
from tests.store.world import World
from tests.vault.office import Office
from tests.vault.vendor import Vendor


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    async with served(vendor.app()) as url:
        vendor.url = url
        yield vendor


@pytest.fixture
async def bare_office(world: World, vendor: Vendor) -> AsyncIterator[Office]:
    """Without an application."""
    office = Office(world, vendor.url)
    yield office
    await office.close()


@pytest.fixture
async def office(bare_office: Office) -> Office:
    await bare_office.furnish()
    return bare_office
