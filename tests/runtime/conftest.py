"""What the runtime's tests share."""

from __future__ import annotations

import pytest

from tests.runtime.lab import Lab, Ledger


@pytest.fixture
async def lab() -> Lab:
    """An app on a memory store whose time passes by itself."""
    return Lab()


@pytest.fixture
def ledger(lab: Lab) -> Ledger:
    """What really happened."""
    return lab.ledger
