"""An embedded server works in a folder of any name."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from stepwell.store.embedded import start_embedded
from stepwell.store.embedded.postmaster import pid_file
from tests.store.embedded.processes import copied, query


@pytest.mark.parametrize("name", ["x" * 120, 'one,"two"'], ids=["long", "several"])
def test_path_that_no_socket_can_have_gets_one_in_the_temporary_folder(created: Path, place: Path, name: str) -> None:
    with start_embedded(copied(created, place / name / ".stepwell")) as server:
        elsewhere = (server.folder / "socket").readlink()

        assert query(server.url, "SELECT 1") == 1
        assert elsewhere.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700

    assert not elsewhere.exists()


def test_path_is_never_read_by_a_shell(created: Path, place: Path) -> None:
    with start_embedded(copied(created, place / "it's $HOME `id` & more" / ".stepwell")) as server:
        assert query(server.url, "SELECT 1") == 1


def test_two_paths_to_one_folder_lead_to_one_server(folder: Path, place: Path) -> None:
    (place / "shortcut").symlink_to(folder)
    with start_embedded(folder) as server, start_embedded(place / "shortcut") as same:
        assert same.url == server.url


def test_relative_folder_is_meant_from_where_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with start_embedded(Path(folder.name)) as server:
        monkeypatch.chdir("/")

        assert server.folder == folder

    assert not pid_file(folder).exists()
