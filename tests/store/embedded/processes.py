"""Processes that use an embedded server, the server's own process, and a place for both."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import psycopg

from stepwell.store.embedded.postmaster import is_server_of, pid_file

IN_MEMORY = Path("/dev/shm")
SECONDS = 90  # to wait for what takes one, on a machine that is busy with something else

USER = """
import sys
from pathlib import Path
from stepwell.store.embedded import start_embedded
server = start_embedded(Path(sys.argv[1]))
print(server.url, flush=True)
"""
WAITING_USER = USER + "sys.stdin.read()\n"


@contextmanager
def temporary_place() -> Iterator[Path]:
    """A folder that any user can pass through, in memory if there is enough. A server left below it is killed."""
    in_memory = IN_MEMORY.exists() and shutil.disk_usage(IN_MEMORY).free > 1_000_000_000
    path = Path(tempfile.mkdtemp(prefix="stepwell-test-", dir=IN_MEMORY if in_memory else None)).resolve()
    path.chmod(0o711)
    try:
        yield path
    finally:
        for file in path.rglob("postmaster.pid"):
            pid = file.read_text().partition("\n")[0]
            if pid.isdecimal() and is_server_of(file.parent.parent, int(pid)):
                os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(path, ignore_errors=True)


def copied(created: Path, folder: Path) -> Path:
    folder.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", created, folder], check=True)
    (folder / "server.log").unlink()
    return folder


class User:
    """A process of its own that uses the server of `folder`."""

    def __init__(self, folder: Path, script: str = WAITING_USER) -> None:
        command = [sys.executable, "-c", script, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> User:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def says(self) -> str:
        """Its next line; an empty one when it has ended, or hung and was killed for it."""
        assert self.process.stdout is not None
        limit = Timer(SECONDS, self.process.kill)
        limit.start()
        try:
            return str(self.process.stdout.readline()).strip()
        finally:
            limit.cancel()

    def ends(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(SECONDS) == 0


def server_pid(folder: Path) -> int:
    return int(pid_file(folder).read_text().split()[0])


def wait_for_exit(pid: int) -> None:
    """Wait until process `pid`, which need not be a child, has ended."""
    try:
        if sys.platform == "linux":
            gone = bool(select.select([os.pidfd_open(pid)], [], [], SECONDS)[0])
        else:
            event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            gone = bool(select.kqueue().control([event], 1, SECONDS))
    except ProcessLookupError:
        return
    assert gone, f"process {pid} still runs"


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
