"""Starts and stops the PostgreSQL of one folder. Callers hold its start lock.

On Windows the server listens on 127.0.0.1 and asks for a password; that path is not run by the project's own tests.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded.account import HERE, Account
from stepwell.store.embedded.binaries import Binaries, find_binaries
from stepwell.store.embedded.data_folder import DATABASE, USER, create_data_folder, last_line, password_file
from stepwell.store.embedded.postmaster import Changing, Ready, Stale, Stopped, is_server_of, look, mark, pid_file
from stepwell.store.embedded.socket_folder import PORT, forget_socket, make_socket_folder, remove_socket_folder
from stepwell.store.embedded.wheel_copy import executable_by

START_SECONDS = 60  # 0.1 s; crash recovery replays up to 1 GB of WAL
STOP_SECONDS = 60  # 0.1 s; the last checkpoint writes up to 64 MB
RETRY_SECONDS = 5  # after kill -9 of the server its children take a moment to notice, and keep its memory until then
LOOK_SECONDS = 0.02  # between two looks at a server that changes
MAX_LOG_BYTES = 1_000_000  # checked at each start; little is written in between


@dataclass(frozen=True)
class Cluster:
    """The data in `folder`, and the server that runs it as `account`."""

    folder: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def ensure_running(self) -> str:
        """The URL of the running server, which is created and started if need be. Raises EmbeddedUnavailable."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            match self._settled():
                case Ready() as server:
                    return self._url(server)
                case Stale():
                    # The dead server's children are still seen: PostgreSQL finds their shared memory by the folder.
                    forget_socket(self.folder)
                    pid_file(self.folder).unlink(missing_ok=True)
                case Stopped():
                    self._start(deadline)

    def stop(self) -> None:
        """Stop the server, if one runs that can be stopped from here (one in another container cannot)."""
        server, deadline = look(self.folder), time.monotonic() + STOP_SECONDS
        if not isinstance(server, Ready) or not (sys.platform == "win32" or is_server_of(self.folder, server.pid)):
            return
        self._interrupt(server)
        while isinstance(look(self.folder), Ready | Changing):
            if time.monotonic() > deadline:
                raise EmbeddedUnavailable(f"PostgreSQL in {self.folder} does not stop; see {self.log}")
            time.sleep(LOOK_SECONDS)
        remove_socket_folder(self.folder, self.account)

    def _interrupt(self, server: Ready) -> None:
        """Ask for a fast shutdown: whoever is still connected is cut off, and a last checkpoint is made."""
        if sys.platform == "win32":
            stop = [self._binaries().path("pg_ctl"), "stop", "-D", HERE, "-m", "fast", "-W"]
            self.account.run(stop, folder=self.data, seconds=STOP_SECONDS)
        else:
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGINT)

    def _settled(self) -> Ready | Stale | Stopped:
        """The server once it is no longer on its way up or down."""
        deadline = time.monotonic() + START_SECONDS
        while isinstance(server := look(self.folder), Changing):
            if time.monotonic() > deadline:
                raise EmbeddedUnavailable(
                    f"PostgreSQL in {self.folder} has been starting or stopping for {START_SECONDS} s; see {self.log}"
                )
            time.sleep(LOOK_SECONDS)
        return server

    def _url(self, server: Ready) -> str:
        if sys.platform == "win32":
            password = password_file(self.folder).read_text(encoding="utf-8")
            return f"postgresql://{USER}:{password}@{server.host}:{server.port}/{DATABASE}"
        return f"postgresql://{USER}@/{DATABASE}?host={quote(os.fsencode(server.host))}&port={server.port}"

    def _start(self, deadline: float) -> None:
        """Start the server, or leave it at that for another try. Raises EmbeddedUnavailable after the `deadline`."""
        binaries = self._binaries()
        if not self.data.exists():
            create_data_folder(self.folder, self.account, binaries)
        self._rotate_log()
        pg_ctl, limit = binaries.path("pg_ctl"), str(START_SECONDS)
        start = [pg_ctl, "start", "-D", HERE, "-s", "-w", "-t", limit, "-o", self._options()]
        with self.log.open("ab+") as log:
            logged = log.seek(0, os.SEEK_END)
            if self.account.run(start, folder=self.data, seconds=2 * START_SECONDS, output=log) is None:
                return
            log.seek(logged)
            said = log.read().decode(errors="replace")
        if time.monotonic() > deadline:
            raise EmbeddedUnavailable(
                f"PostgreSQL {binaries.version} does not start in {self.folder}: {_reason(said)}; see {self.log}"
            )
        time.sleep(LOOK_SECONDS)

    def _binaries(self) -> Binaries:
        """Executables that can run the data there is, where the server's user can run them."""
        try:
            major = int((self.data / "PG_VERSION").read_text(encoding="utf-8").split(".")[0])
        except FileNotFoundError:
            return executable_by(self.account, find_binaries())
        return executable_by(self.account, find_binaries(major=major))

    def _rotate_log(self) -> None:
        """Have a log that this user and the server's can open, and that does not grow from start to start."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch(mode=0o600)
        self.account.give(self.log)

    def _options(self) -> str:
        """What only this start can know; the rest is in the data folder, where ALTER SYSTEM can change it."""
        if sys.platform == "win32":
            return f"-c listen_addresses=127.0.0.1 -c port={_free_port()}"
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": make_socket_folder(self.folder, self.account),
            "unix_socket_permissions": "0700",
        }
        return shlex.join([*(f"--{name}={value}" for name, value in settings.items()), mark(self.folder)])


def _reason(said: str) -> str:
    """Why a start failed, as the server said it, or else the command."""
    fatal = re.findall(r"(?:FATAL|PANIC):\s*(.*)", said)
    return str(fatal[-1]) if fatal else last_line(said)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
