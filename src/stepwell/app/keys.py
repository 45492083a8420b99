"""The keys with which a process seals credentials: where they come from."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stepwell.app import settings
from stepwell.errors import InvalidOption

if TYPE_CHECKING:
    from stepwell.sealing import Key, Keyring

KEY_FILE = "keys"  # beside the embedded database


def keyring_of(*, is_embedded: bool) -> Keyring:
    """The keys of STEPWELL_KEYS, else of the key file. An embedded database gets one that is made when it is needed.

    Raises InvalidOption when there are none, or they cannot be read.
    """
    from stepwell.sealing import Keyring, parse_keys

    if text := settings.keys():
        return Keyring(parse_keys(text, where=settings.KEYS))
    path = settings.key_file() or (settings.embedded_folder() / KEY_FILE if is_embedded else None)
    if path is None:
        raise InvalidOption(
            f"there is no key to encrypt credentials with: `stepwell keys new` makes one for {settings.KEYS},"
            " which every process of this database needs"
        )
    if is_embedded and settings.key_file() is None:
        _make(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"the key file {path} cannot be read: {type(error).__name__}") from None
    return Keyring(parse_keys(text, where=str(path)))


_memory_keyrings: WeakKeyDictionary[object, Keyring] = WeakKeyDictionary()


def memory_keyring(store: object) -> Keyring:
    """A key for what one store keeps in memory only: the same for all who use it."""
    from stepwell.sealing import Keyring, new_key

    return _memory_keyrings.setdefault(store, Keyring([new_key("memory")]))


def new_key_id() -> str:
    """An id that says when the key was made."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}"


def add_to_file(path: Path, key: Key) -> None:
    """Put the key in front of those of the file: it seals from now on. The file is only its owner's, and always whole.

    Raises OSError.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _beside(path, f"{key.text()}\n{before}").replace(path)


def _make(path: Path) -> None:
    """A file with one key, unless it is there; of several processes at once all get the same."""
    from stepwell.sealing import new_key

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path, f"{new_key(new_key_id()).text()}\n")
    with suppress(FileExistsError):
        os.link(beside, path)  # fails if somebody was faster, whose key it is then
    beside.unlink()


def _beside(path: Path, text: str) -> Path:
    """A new file in the same folder, on disk, that only its owner can read."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
