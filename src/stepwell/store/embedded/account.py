"""The user that the server runs as. PostgreSQL refuses to run as root, so for root it is another one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stepwell.errors import EmbeddedUnavailable

UNPRIVILEGED = "nobody"
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "COMSPEC", "TEMP", "TMP")


@dataclass(frozen=True)
class Account:
    """A user to run commands as. Without a `uid` it is the user of this process."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: list[str], *, folder: Path, seconds: float, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in `folder` with `text` as its input; its output, errors included, is in `stdout`.

        It gets a session of its own, so that Ctrl-C reaches us and not a half-made database, and hardly any of our
        environment: PG* variables would redirect it, and a server would keep our secrets for life.
        """
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:  # a server would hold a pipe open
            given.write(text.encode())
            given.seek(0)
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own executables, or `test`
                command, stdin=given, stdout=said, stderr=subprocess.STDOUT, timeout=seconds, check=False,
                cwd=folder, env=environment, start_new_session=True,
                user=self.uid, group=self.gid, extra_groups=None if self.uid is None else [],
            )  # fmt: skip
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, said.read().decode(errors="replace"))

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`."""
        if sys.platform != "win32" and self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_reach(self, path: Path) -> bool:
        """Whether this user may go through the folder, or run the file. The system answers: it knows access lists."""
        if self.uid is None:
            return True
        ask = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        return self.run(ask, folder=Path("/"), seconds=10).returncode == 0


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def account_for(home: Path) -> Account:
    """Who runs the server of `home`: the user of this process; for root the data's owner, else UNPRIVILEGED."""
    if sys.platform == "win32" or not is_root():
        return Account()
    data = home / "data"
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
