"""Folders for embedded servers, and machines that lack something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.store.embedded import EmbeddedServer, binaries, start_embedded
from tests.store.embedded.machine import NO_WHEEL
from tests.store.embedded.processes import copied, temporary_place

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # kill -9 and Unix sockets


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_place() as path:
        yield path


@pytest.fixture
def new_folder(place: Path) -> Path:
    return place / ".stepwell"


@pytest.fixture(scope="session")
def created() -> Iterator[Path]:
    """A folder with an empty database, to copy: that takes a tenth of creating one."""
    with temporary_place() as path:
        start_embedded(path / ".stepwell").close()
        yield path / ".stepwell"


@pytest.fixture
def folder(created: Path, new_folder: Path) -> Path:
    return copied(created, new_folder)


@pytest.fixture(scope="module")
def running(created: Path) -> Iterator[EmbeddedServer]:
    """One server for the tests that only look at it."""
    with temporary_place() as path, start_embedded(copied(created, path / ".stepwell")) as server:
        yield server


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "WHEEL", NO_WHEEL)


@pytest.fixture
def no_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def closed(place: Path) -> Path:
    """A folder that only root can enter."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    return closed
