"""What the server of a data folder says about itself, read from its postmaster.pid and checked against the system.

The lines of that file: process id, data folder, start time, port, socket folder, listen address, shared memory key,
status (https://www.postgresql.org/docs/current/storage-file-layout.html).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stepwell.store.embedded.account import HERE

PORT, SOCKET_FOLDER, ADDRESS, STATUS = 3, 4, 5, 7
ANSWER_SECONDS = 1.0  # connecting on one machine takes microseconds


@dataclass(frozen=True)
class Stopped:
    """No server runs, and none left a trace."""


@dataclass(frozen=True)
class Stale:
    """No server runs, but one that was killed left its file."""


@dataclass(frozen=True)
class Changing:
    """A server is on its way up or down."""


@dataclass(frozen=True)
class Ready:
    """A server takes connections at `host`, a folder or an address."""

    pid: int
    host: str
    port: int


Server = Stopped | Stale | Changing | Ready


def pid_file(folder: Path) -> Path:
    return folder / "data" / "postmaster.pid"


def mark(folder: Path) -> str:
    """What is on the command line of a server of `folder` to know it by. PostgreSQL accepts any name with a dot."""
    return f"--stepwell.folder={folder}"


def look(folder: Path) -> Server:
    """The state of the server of `folder` right now."""
    try:
        lines = [line.strip() for line in os.fsdecode(pid_file(folder).read_bytes()).splitlines()]
    except FileNotFoundError:
        return Stopped()
    if len(lines) > STATUS and _answers(server := _address(folder, lines)):
        return server if lines[STATUS] == "ready" else Changing()
    return Changing() if lines and lines[0].isdecimal() and is_server_of(folder, int(lines[0])) else Stale()


def _address(folder: Path, lines: list[str]) -> Ready:
    host = str(folder / "data") if lines[SOCKET_FOLDER] == HERE else lines[SOCKET_FOLDER] or lines[ADDRESS]
    return Ready(pid=int(lines[0]), host=host, port=int(lines[PORT]))


def _answers(server: Ready) -> bool:
    """Whether anybody listens there: a dead server's socket refuses, however many of its children still live."""
    try:
        _connect(server).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except (BlockingIOError, TimeoutError):
        return True  # its queue is full
    return True


def _connect(server: Ready) -> socket.socket:
    if sys.platform == "win32":
        return socket.create_connection((server.host, server.port), timeout=ANSWER_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(f"{server.host}/.s.PGSQL.{server.port}")
    except OSError:
        connection.close()
        raise
    return connection


def is_server_of(folder: Path, pid: int) -> bool:
    """Whether process `pid` lives and is the server that was started for `folder`.

    A process id alone proves nothing: after a reboot, and most of all in a container, it belongs to somebody else; and
    a dead server stays a zombie with its id where nobody collects it (process 1 of a container). The command line
    tells, and any user may read it; a zombie has none.
    """
    if sys.platform == "win32":
        return False  # PostgreSQL checks the process itself there
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsencode(mark(folder)) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
    ask = ["ps", "-o", "stat=,comm=", "-p", str(pid)]
    shown = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return "postgres" in shown and not shown.startswith("Z")
