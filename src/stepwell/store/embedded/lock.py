"""File locks between processes, which the kernel drops when their process dies, also by kill -9."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType
from weakref import WeakSet

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes
else:
    import fcntl

FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 0.002, 0.05

_open_locks: WeakSet[FileLock] = WeakSet()


class FileLock:
    """One handle on a lock file. Two handles exclude each other, also within one process.

    A forked child holds nothing: its copy is closed, so it can neither keep the lock alive nor release it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        _open_locks.add(self)

    def try_lock(self, *, exclusive: bool) -> bool:
        """Take the lock, or change the one held, if nobody stands in the way. A failed change releases."""
        return _lock(self._fd, exclusive=exclusive)

    def lock(self, *, exclusive: bool, seconds: float) -> None:
        """Take the lock. Raises TimeoutError when others held it for `seconds`."""
        deadline, wait = time.monotonic() + seconds, FIRST_WAIT_SECONDS
        while not self.try_lock(exclusive=exclusive):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has held {self._path} for {seconds:g} s")
            time.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_SECONDS)

    def close(self) -> None:
        """Release the lock and the file. Closing twice is allowed."""
        if self._fd >= 0:
            _unlock(self._fd)  # said aloud: a child between fork and exec would keep it alive
        self.abandon()

    def abandon(self) -> None:
        """Close this process's handle; what another process holds through the same one stays held."""
        fd, self._fd = self._fd, -1
        _open_locks.discard(self)
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _abandon_all() -> None:
    for lock in list(_open_locks):
        lock.abandon()


if sys.platform == "win32":
    # Not run by the project's own tests. LockFileEx has shared locks, which msvcrt.locking has not.
    _FAIL_AT_ONCE, _EXCLUSIVE = 1, 2

    class _Overlapped(ctypes.Structure):
        _fields_ = [
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        ]

    def _lock(fd: int, *, exclusive: bool) -> bool:
        _unlock(fd)  # a handle's own lock would stand in its way
        handle, flags = wintypes.HANDLE(msvcrt.get_osfhandle(fd)), _FAIL_AT_ONCE | (_EXCLUSIVE if exclusive else 0)
        return bool(ctypes.windll.kernel32.LockFileEx(handle, flags, 0, 1, 0, ctypes.byref(_Overlapped())))

    def _unlock(fd: int) -> None:
        handle = wintypes.HANDLE(msvcrt.get_osfhandle(fd))
        ctypes.windll.kernel32.UnlockFileEx(handle, 0, 1, 0, ctypes.byref(_Overlapped()))

else:

    def _lock(fd: int, *, exclusive: bool) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    os.register_at_fork(after_in_child=_abandon_all)
