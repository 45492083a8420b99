"""The folder of a server's Unix socket: closed to other users, which is what makes its trust authentication safe."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tempfile
from pathlib import Path

from stepwell.store.embedded.account import Account

PROBE = ".s.PGSQL.test"  # as long as the name of the real one, ".s.PGSQL.5432"
UNFIT = ',"\n'  # libpq and PostgreSQL would read the path as several


def make_socket_folder(home: Path, account: Account) -> None:
    """Make `home`/socket, which is a link to a temporary folder where no socket fits.

    None fits a path over ~100 bytes, nor some mounted file systems. A folder stays the same as long as it exists, so
    that a server started again keeps its URL.
    """
    place = home / "socket"
    if place.is_symlink() and _is_private(place.readlink(), account):
        return
    _remove(place)
    place.mkdir(mode=0o700)
    account.give(place)
    if not _fits(place):
        place.rmdir()
        target = Path(tempfile.mkdtemp(prefix="stepwell-"))
        account.give(target)
        place.symlink_to(target)


def socket_setting(home: Path) -> str:
    """The setting that a server of `home` is started with; no other server has it."""
    place = home / "socket"
    return f"unix_socket_directories={place.readlink() if place.is_symlink() else place}"


def remove_socket_folder(home: Path, account: Account) -> None:
    """Leave nothing in the temporary folder behind."""
    place = home / "socket"
    if place.is_symlink() and _is_private(place.readlink(), account):
        shutil.rmtree(place.readlink(), ignore_errors=True)
    _remove(place)


def _remove(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def _is_private(folder: Path, account: Account) -> bool:
    """Whether nobody replaced the temporary folder after it was cleaned away."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    owner = found.st_uid if sys.platform == "win32" else (os.geteuid() if account.uid is None else account.uid)
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == owner


def _fits(folder: Path) -> bool:
    if any(character in str(folder) for character in UNFIT):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(folder / PROBE))
        except OSError:
            return False
    (folder / PROBE).unlink()
    return True
