"""A watched database for every fault test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.harness import Site


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A fresh database on the shared server."""
    async with Site.at(database_url, tmp_path) as site:
        await site.watch()
        yield site
