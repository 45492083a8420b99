"""Creates, starts and stops the PostgreSQL of one home folder. Callers hold its start lock.

On Windows, where Unix sockets are not to be relied on, the server listens on 127.0.0.1 and asks for a password. That
path is not run by the project's own tests.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded.account import Account
from stepwell.store.embedded.binaries import Binaries, find_binaries
from stepwell.store.embedded.home import executable_by
from stepwell.store.embedded.postmaster import Changing, Ready, Stale, Stopped, is_server_of, look, pid_file
from stepwell.store.embedded.socket_folder import make_socket_folder, remove_socket_folder, socket_setting

DATABASE = USER = "stepwell"
PORT = 5432  # with Unix sockets only a part of the socket's name
CREATE_SECONDS = 120  # 0.6 s on a laptop's disk
START_SECONDS = 60  # 0.1 s; crash recovery replays up to 1 GB of WAL
STOP_SECONDS = 60  # 0.1 s; the last checkpoint writes up to 64 MB
LOOK_SECONDS = 0.02  # between two looks at a server that changes
MAX_LOG_BYTES = 1_000_000  # checked at each start; little is written in between

# Durability is left as PostgreSQL has it: fsync, synchronous_commit and full_page_writes are on, and so is autovacuum.
# wal_level stays `replica`: `minimal` saves nothing on small commits (433 bytes for 434) and forbids online backups.
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",  # compiling costs more than any statement of the engine takes
    "wal_compression": "on",
    "autovacuum_naptime": "15s",  # queue tables leave dead rows quickly
    "max_parallel_workers_per_gather": "0",  # needs shared memory that containers are short of
    "max_logical_replication_workers": "0",  # one idle process less
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # errors of statements reach the client; the log is for the server's own troubles
    "log_checkpoints": "off",
}

# What a start meets for some seconds after kill -9 of the server, until its children have noticed, or of its starter.
PASSING = ("is still in use", "already exists")
UNFINISHED = "data.new-"


@dataclass(frozen=True)
class Cluster:
    """The data folder in `home`, and the server that runs it as `account`."""

    home: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def password(self) -> Path:
        return self.home / "password"

    def ensure_running(self) -> str:
        """The URL of the running server, which is created and started if need be. Raises EmbeddedUnavailable."""
        reason, deadline = "it is starting or stopping", time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            match look(self.home):
                case Ready() as server:
                    return self._url(server)
                case Stopped():
                    reason = self._start() or reason
                case Stale():
                    # The dead server's children are still seen: PostgreSQL finds their shared memory by the folder.
                    pid_file(self.home).unlink(missing_ok=True)
                case Changing():
                    time.sleep(LOOK_SECONDS)
        raise EmbeddedUnavailable(
            f"PostgreSQL in {self.home} was not ready in {START_SECONDS} s: {reason}; see {self.log}"
        )

    def stop(self) -> None:
        """Stop the server, if one runs that can be stopped from here (one in another container cannot)."""
        server = look(self.home)
        if isinstance(server, Ready) and (sys.platform == "win32" or is_server_of(self.home, server.pid)):
            stop = [self._binaries().path("pg_ctl"), "stop", "-D", "data", "-m", "fast", "-w", "-t", str(STOP_SECONDS)]
            self._check(stop, seconds=2 * STOP_SECONDS)
            remove_socket_folder(self.home, self.account)

    def _url(self, server: Ready) -> str:
        if sys.platform == "win32":
            password = self.password.read_text(encoding="utf-8")
            return f"postgresql://{USER}:{password}@{server.host}:{server.port}/{DATABASE}"
        return f"postgresql://{USER}@/{DATABASE}?host={quote(os.fsencode(server.host))}&port={server.port}"

    def _start(self) -> str | None:
        """Start the server once. None if that worked, else a reason that will pass; any other raises."""
        binaries = self._binaries()
        if not self.data.exists():
            self._create(binaries)
        logged = self._open_log()
        start = [binaries.path("pg_ctl"), "start", "-D", "data", "-l", self.log.name, "-w", "-t", str(START_SECONDS)]
        done = self._run([*start, "-o", self._options()], seconds=2 * START_SECONDS)
        if done.returncode == 0:
            return None
        reason = self._complaint(logged) or _last_line(done.stdout)
        if not any(text in reason for text in PASSING):
            raise EmbeddedUnavailable(
                f"PostgreSQL {binaries.version} does not start in {self.home}: {reason}; see {self.log}"
            )
        time.sleep(LOOK_SECONDS)
        return reason

    def _binaries(self) -> Binaries:
        """Executables that can run the data there is, where the server's user can run them."""
        try:
            major = int((self.data / "PG_VERSION").read_text(encoding="utf-8").split(".")[0])
        except FileNotFoundError:
            return executable_by(self.account, find_binaries())
        return executable_by(self.account, find_binaries(major=major))

    def _create(self, binaries: Binaries) -> None:
        """Make a complete data folder beside its place, then rename it: an interrupted one is never taken for data."""
        for unfinished in self.home.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.home))
        self.account.give(fresh)
        try:
            self._check([binaries.path("initdb"), "-D", fresh.name, *self._initdb_options(binaries)])
            single = [binaries.path("postgres"), "--single", "-D", fresh.name, "-c", "exit_on_error=on", "template1"]
            self._check(single, text=_first_statements(binaries))
            self._check([binaries.path("initdb"), "-D", fresh.name, "--sync-only"])
            fresh.rename(self.data)
            _sync_folder(self.home)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _initdb_options(self, binaries: Binaries) -> list[str]:
        options = ["-U", USER, "--no-sync", "--no-instructions", "--data-checksums", "--encoding=UTF8", "--locale=C"]
        if binaries.major >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # sorts as C, knows all letters' cases
        if sys.platform == "win32":
            self.password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
            return [*options, "--auth=scram-sha-256", f"--pwfile={self.password}"]
        return [*options, "--auth-local=trust", "--auth-host=reject"]

    def _options(self) -> str:
        """What only this start can know; the rest is in the data folder, where ALTER SYSTEM can change it."""
        if sys.platform == "win32":
            return f"-c listen_addresses=127.0.0.1 -c port={_free_port()}"
        make_socket_folder(self.home, self.account)
        closed = ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
        return shlex.join([*closed, "-c", f"port={PORT}", "-c", socket_setting(self.home)])

    def _open_log(self) -> int:
        """Have a log that the server's user can append to and that cannot grow from start to start; its size."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        os.close(os.open(self.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        self.account.give(self.log)
        return self.log.stat().st_size

    def _complaint(self, logged: int) -> str:
        """Why the last start failed, as the server said it."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(logged)
            fatal = [line.partition("FATAL:")[2].strip() for line in log if "FATAL:" in line]
        return fatal[-1] if fatal else ""

    def _check(self, command: list[str], *, seconds: float = CREATE_SECONDS, text: str = "") -> None:
        done = self._run(command, seconds=seconds, text=text)
        if done.returncode != 0:
            raise EmbeddedUnavailable(f"{Path(command[0]).stem} failed in {self.home}: {_last_line(done.stdout)}")

    def _run(self, command: list[str], *, seconds: float, text: str = "") -> CompletedProcess[str]:
        # Relative paths, because pg_ctl hands them to a shell unquoted, and its user may not go through their parents.
        return self.account.run(command, folder=self.home, seconds=seconds, text=text)


def _first_statements(binaries: Binaries) -> str:
    settings = dict(SETTINGS)
    if binaries.major >= 18:
        settings["io_method"] = "sync"  # three idle processes less
    statements = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
    # Renamed rather than created: that copies nothing, which saves a quarter of the time and 25 MB.
    return "\n".join([*statements, f"ALTER DATABASE postgres RENAME TO {DATABASE}", ""])


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":  # which has no such thing
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
