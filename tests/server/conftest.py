"""What the server's tests share: an App with workflows, and a client of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from stepwell import App
from stepwell.store.memory import MemoryStore
from tests.server.clients import client_of
from tests.server.flows import workflows


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """An App in memory whose workflows nobody runs."""
    async with App(MemoryStore()) as app:
        workflows(app)
        yield app


@pytest.fixture(params=["memory", "postgres"])
async def any_app(request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """The same in memory and on PostgreSQL."""
    store: Any = MemoryStore() if request.param == "memory" else request.getfixturevalue("database_url")
    async with App(store) as app:
        workflows(app)
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def any_client(any_app: App) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(any_app) as client:
        yield client
