"""Server processes in front of a fresh database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.intake.vendors import HookServer

Serve = Callable[..., HookServer]


@pytest.fixture
def serve_hooks(database_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Starts server processes; none is left behind, and none has complained."""
    servers: list[HookServer] = []
    log = tmp_path / "servers.log"

    def serve(url: str = database_url, **environment: str) -> HookServer:
        servers.append(HookServer(url, log, **environment))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()
    assert "Traceback" not in log.read_text()
