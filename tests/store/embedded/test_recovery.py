"""What a killed server, or a killed creation, leaves behind stands in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded import EmbeddedServer, cluster, start_embedded
from stepwell.store.embedded.account import account_for
from stepwell.store.embedded.postmaster import Stale, look, pid_file
from stepwell.store.embedded.socket_folder import make_socket_folder
from tests.store.embedded.machine import linux_only
from tests.store.embedded.processes import User, query, server_pid, wait_for_exit


def test_killed_server_comes_back_with_what_was_committed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children need a moment to notice; here one takes its time, until the first new start has failed."""
    with start_embedded(folder) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        connection.commit()
        child, dead = connection.info.backend_pid, server_pid(folder)
        os.kill(child, signal.SIGSTOP)
        os.kill(dead, signal.SIGKILL)
        wait_for_exit(dead)

        def wake(_seconds: float) -> None:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)

        monkeypatch.setattr(cluster, "time", SimpleNamespace(monotonic=time.monotonic, sleep=wake))
        url = server.ensure_running()
        monkeypatch.undo()

        assert url == server.url
        assert query(url, "SELECT value FROM kept") == 42
        assert "is still in use" in (folder / "server.log").read_text()


UNCOLLECTING_USER = """
import ctypes, os, signal, sys
from pathlib import Path
from stepwell.store.embedded import start_embedded
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # as process 1 of a container: the dead server stays a zombie
folder = Path(sys.argv[1])
server = start_embedded(folder)
pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
os.kill(pid, signal.SIGKILL)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(server.ensure_running() == server.url, flush=True)
"""


@linux_only
def test_zombie_of_a_killed_server_does_not_block_the_next(folder: Path) -> None:
    with User(folder, script=UNCOLLECTING_USER) as user:
        assert user.says() == "True"
        user.ends()


def test_stale_postmaster_pid_of_a_living_stranger_does_not_block(folder: Path) -> None:
    with start_embedded(folder):
        lines = pid_file(folder).read_text().splitlines()
    account = account_for(folder)
    # Of the server's own user: of another's process PostgreSQL itself would say that it cannot be a server.
    with subprocess.Popen(["sleep", "60"], user=account.uid, group=account.gid) as stranger:
        pid_file(folder).write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        account.give(pid_file(folder))

        with start_embedded(folder) as server:
            assert query(server.url, "SELECT 1") == 1

        stranger.kill()


@pytest.mark.parametrize("content", ["", "1\n", "not a number\n", "1\n" * 7 + "ready\n"])
def test_postmaster_pid_that_a_crash_left_torn_is_stale(new_folder: Path, content: str) -> None:
    (new_folder / "data").mkdir(parents=True)
    pid_file(new_folder).write_text(content)

    assert look(new_folder) == Stale()


def test_next_start_leaves_a_socket_alone_that_a_killed_starter_is_opening(running: EmbeddedServer) -> None:
    """Between a look that finds no server and the start there may be one; `make soak` met it."""
    make_socket_folder(running.folder, account_for(running.folder))

    assert query(running.url, "SELECT 1") == 1


def test_server_that_cannot_start_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "RETRY_SECONDS", 0)
    (folder / "data" / "postgresql.auto.conf").write_text("shared_buffers = 'plenty'\n")

    with pytest.raises(EmbeddedUnavailable, match=r"does not start .*contains errors.*server\.log"):
        start_embedded(folder)
