"""Joining the server of a folder, and leaving it.

Two locks in it. Whoever creates, starts or stops holds `start.lock` alone. Every user process holds `users.lock`
together with all others for as long as it lives; who gets it alone, on leaving, is the last one out. The kernel drops
both when a process dies, so kill -9 of any of them leaves nothing to clean up.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from types import TracebackType

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded.account import account_for
from stepwell.store.embedded.cluster import Cluster
from stepwell.store.embedded.lock import FileLock

START_LOCK, USERS_LOCK = "start.lock", "users.lock"
START_LOCK_SECONDS = 180  # creating takes about a second; crash recovery of a busy server up to a minute


def start_embedded(folder: Path) -> EmbeddedServer:
    """Join the server of `folder`, which is created and started if need be. Raises EmbeddedUnavailable.

    The server runs until the last process that joined has closed or exited. One that was killed with -9 does not count,
    nor does the server stop for it: the next one to join takes it over.
    """
    folder = folder.resolve()  # processes that come by different paths must know the server by one
    with _told_plainly(folder):
        _make_folder(folder)
        return EmbeddedServer(folder, Cluster(folder, account_for(folder)))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # nobody wants a database in a commit


class EmbeddedServer:
    """A share in the running PostgreSQL of `folder`, with its database at `url`.

    It belongs to the process that made it: in a forked child it is not held, and closing it does nothing.
    """

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self._cluster = cluster
        self._pid = os.getpid()
        self._users = FileLock(folder / USERS_LOCK)
        self._closed = False
        self.url = self._join()
        atexit.register(self.close)

    def _join(self) -> str:
        try:
            with _start_lock(self.folder):
                self._users.lock(exclusive=False, seconds=START_LOCK_SECONDS)
                return self._cluster.ensure_running()
        except BaseException:
            self._users.close()
            raise

    def ensure_running(self) -> str:
        """Start the server again if it was killed. Returns `url`, which on Windows may have changed.

        Raises EmbeddedUnavailable, also when this share was closed: nobody would stop what it started.
        """
        with _told_plainly(self.folder), _start_lock(self.folder):
            if self._closed:
                raise EmbeddedUnavailable(f"the embedded PostgreSQL in {self.folder} was closed by this process")
            self.url = self._cluster.ensure_running()
        return self.url

    def close(self) -> None:
        """Leave; the last one out stops the server. Closing twice is allowed."""
        atexit.unregister(self.close)
        if self._closed or self._pid != os.getpid():
            return
        try:
            with _told_plainly(self.folder), _start_lock(self.folder):
                self._closed = True
                if self._users.try_lock(exclusive=True):
                    self._cluster.stop()
        finally:
            self._closed = True
            self._users.close()

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextmanager
def _start_lock(folder: Path) -> Iterator[None]:
    with FileLock(folder / START_LOCK) as lock:
        lock.lock(exclusive=True, seconds=START_LOCK_SECONDS)
        yield


@contextmanager
def _told_plainly(folder: Path) -> Iterator[None]:
    """Turn what the system refuses into EmbeddedUnavailable."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedUnavailable(
            f"this user may not use {error.filename or folder}: run Stepwell as the user who created {folder},"
            " choose another folder, or set STEPWELL_DATABASE_URL"
        ) from error
    except (OSError, TimeoutExpired) as error:
        raise EmbeddedUnavailable(
            f"cannot use an embedded PostgreSQL in {folder}: {error}; STEPWELL_DATABASE_URL can name another"
        ) from error
