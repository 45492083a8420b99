"""The user that the server runs as. PostgreSQL refuses to run as root, so for root it is another one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stepwell.errors import EmbeddedUnavailable

UNPRIVILEGED = "nobody"
HERE = "."
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "COMSPEC", "TEMP", "TMP")
ASK_SECONDS = 10  # `test -x` takes milliseconds


@dataclass(frozen=True)
class Account:
    """A user to run commands as. Without a `uid` it is the user of this process."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: list[str], *, folder: Path, seconds: float, text: str = "", output: BinaryIO | None = None
    ) -> str | None:
        """Run a command in `folder`, which it may call HERE, with `text` as its input. What it said, if it failed.

        With `output` it says it there. It gets a session of its own, so that Ctrl-C reaches us and not a half-made
        database, and hardly any of our environment: PG* variables would redirect it, and a server would keep our
        secrets for life.
        """
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}
        with self._enter(folder) as (here, place, fds), _files(text) as (given, said):
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own executables
                [here if word == HERE else word for word in command],
                stdin=given, stdout=output or said, stderr=subprocess.STDOUT, timeout=seconds, check=False,
                cwd=place, pass_fds=fds, env=environment, start_new_session=True,
                user=self.uid, group=self.gid, extra_groups=None if self.uid is None else [],
            )  # fmt: skip
            said.seek(0)
            return said.read().decode(errors="replace") if done.returncode else None

    @contextmanager
    def _enter(self, folder: Path) -> Iterator[tuple[str, Path, tuple[int, ...]]]:
        """A name of `folder` for this user, the folder to run in, and the open files that this takes.

        What belongs to root can seldom be reached by another user (`/root` is closed to it). Data kept elsewhere would
        be lost to whoever moves, copies or mounts the project, and opening closed folders is not ours to do. So the
        server is handed the one folder open, and finds it under `/proc`, where one's own open files are open to one.
        """
        if self.can_reach(folder):
            yield HERE, folder, ()
            return
        if not Path("/proc/self/fd").exists():
            raise EmbeddedUnavailable(
                f"PostgreSQL does not run as root, and another user cannot reach {folder}:"
                " run Stepwell as another user, or set STEPWELL_DATABASE_URL"
            )
        fd = os.open(folder, os.O_RDONLY)
        try:
            yield f"/proc/self/fd/{fd}", Path("/"), (fd,)
        finally:
            os.close(fd)

    def can_reach(self, path: Path) -> bool:
        """Whether this user may go through the folder, or run the file. The system answers: it knows access lists."""
        if self.uid is None:
            return True
        ask = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        done = subprocess.run(  # noqa: S603
            ask, cwd="/", timeout=ASK_SECONDS, check=False, user=self.uid, group=self.gid, extra_groups=[]
        )
        return done.returncode == 0

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`."""
        if sys.platform != "win32" and self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@contextmanager
def _files(text: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """A command's input and output as files: a server would hold a pipe open for ever."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text.encode())
        given.seek(0)
        yield given, said


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def account_for(folder: Path) -> Account:
    """Who runs the server of `folder`: the user of this process; for root the data's owner, else UNPRIVILEGED."""
    if sys.platform == "win32" or not is_root():
        return Account()
    data = folder / "data"
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    import pwd  # not there on Windows

    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise EmbeddedUnavailable(
            f"PostgreSQL does not run as root and this system has no user '{UNPRIVILEGED}':"
            " run Stepwell as another user, or set STEPWELL_DATABASE_URL"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)
