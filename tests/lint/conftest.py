"""What earlier tests of the process have left is gone before code is parsed here."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def nothing_left_to_collect() -> None:
    """Python 3.11 fails to parse when a collection in the midst of it has a traceback written, which parses, too.

    https://github.com/python/cpython/issues/106905
    """
    gc.collect()
