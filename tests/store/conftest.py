"""Every test that asks for `world` runs on memory and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.store.racing import Racer
from tests.store.world import MemoryWorld, PostgresWorld, World


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A store with a way to let its time pass."""
    is_memory = request.param == "memory"
    it = MemoryWorld() if is_memory else PostgresWorld(request.getfixturevalue("database_url"))
    await it.store.open()
    yield it
    await it.store.close()


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresWorld]:
    """The same on PostgreSQL only, for what memory does not have."""
    it = PostgresWorld(database_url)
    await it.store.open()
    yield it
    await it.store.close()


# Connections of their own, on which a race's statements meet in a forced order.


@pytest.fixture
def one(postgres: PostgresWorld) -> Iterator[Racer]:
    racer = Racer(postgres.url)
    yield racer
    racer.close()


@pytest.fixture
def other(postgres: PostgresWorld) -> Iterator[Racer]:
    racer = Racer(postgres.url)
    yield racer
    racer.close()


@pytest.fixture
def third(postgres: PostgresWorld) -> Iterator[Racer]:
    racer = Racer(postgres.url)
    yield racer
    racer.close()
