"""What the app's tests share: an App on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepwell import App


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    """An App on a database of its own, open."""
    async with App(database_url) as app:
        yield app
