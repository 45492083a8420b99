"""The folder of a server's Unix socket: closed to other users, which is what makes its trust authentication safe."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tempfile
from pathlib import Path

from stepwell.store.embedded.account import HERE, Account

PORT = 5432  # here only a part of the socket's name
SOCKET = f".s.PGSQL.{PORT}"
PROBE = ".s.PGSQL.test"  # as long
UNFIT = ",\n"  # libpq would read the path as several


def make_socket_folder(folder: Path, account: Account) -> str:
    """The server's setting for its socket: in its data folder, or in a temporary folder where no socket fits there.

    None fits a path over ~100 bytes, nor some mounted file systems. The link `folder`/socket remembers the temporary
    folder, so that a server started again keeps its URL.
    """
    link = folder / "socket"
    if _fits(folder / "data"):
        link.unlink(missing_ok=True)
        return HERE
    if not (link.is_symlink() and _is_private(link.readlink(), account)):
        link.unlink(missing_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="stepwell-"))
        account.give(temporary)
        link.symlink_to(temporary)
    return str(link.readlink())


def forget_socket(folder: Path) -> None:
    """Remove what a dead server left of its socket: it names a process id that may be a stranger's by now."""
    for place in (folder / "data", folder / "socket"):
        (place / f"{SOCKET}.lock").unlink(missing_ok=True)
        (place / SOCKET).unlink(missing_ok=True)


def remove_socket_folder(folder: Path, account: Account) -> None:
    """Leave nothing in the temporary folder behind."""
    link = folder / "socket"
    if link.is_symlink() and _is_private(link.readlink(), account):
        shutil.rmtree(link.readlink(), ignore_errors=True)
    link.unlink(missing_ok=True)


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
