"""Where the keys come from: the environment, a file, or beside an embedded database, made when it is needed."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepwell.app.keys import add_to_file, keyring_of
from stepwell.errors import InvalidOption
from stepwell.sealing import Place, new_key

HERE = Place("connection", "acme", "credentials")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEPWELL_FOLDER", str(tmp_path / "embedded"))
    monkeypatch.delenv("STEPWELL_KEYS", raising=False)
    monkeypatch.delenv("STEPWELL_KEY_FILE", raising=False)
    return tmp_path


def test_embedded_database_gets_a_key_that_only_its_owner_reads(folder: Path) -> None:
    first, second = keyring_of(is_embedded=True), keyring_of(is_embedded=True)

    path = folder / "embedded" / "keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert second.open(first.seal(b"value", HERE), HERE) == b"value"
    assert [one.name for one in path.parent.iterdir()] == ["keys"]


def test_processes_that_need_the_first_key_at_once_get_the_same(folder: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        keyrings = list(threads.map(lambda _: keyring_of(is_embedded=True), range(64)))

    sealed = keyrings[0].seal(b"value", HERE)
    assert {keyring.open(sealed, HERE) for keyring in keyrings} == {b"value"}


def test_environment_counts_before_a_file_and_a_file_before_the_embedded_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_file(folder / "mine", new_key("of-file"))
    monkeypatch.setenv("STEPWELL_KEY_FILE", str(folder / "mine"))
    by_file = keyring_of(is_embedded=True)
    monkeypatch.setenv("STEPWELL_KEYS", new_key("of-environment").text())
    by_environment = keyring_of(is_embedded=True)

    assert (by_file.newest, by_environment.newest) == ("of-file", "of-environment")
    assert not (folder / "embedded").exists()


def test_database_with_a_url_needs_keys_of_yours() -> None:
    with pytest.raises(InvalidOption, match=r"`stepwell keys new` makes one for STEPWELL_KEYS"):
        keyring_of(is_embedded=False)


def test_key_file_that_is_not_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_KEY_FILE", str(folder / "missing"))

    with pytest.raises(InvalidOption, match=r"missing cannot be read: FileNotFoundError"):
        keyring_of(is_embedded=True)


def test_key_that_is_added_stands_in_front(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        add_to_file(folder / "keys", new_key(name))
    monkeypatch.setenv("STEPWELL_KEY_FILE", str(folder / "keys"))

    assert keyring_of(is_embedded=False).ids == ("three", "two", "one")
