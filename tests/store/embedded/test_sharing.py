"""Several processes share one embedded server; some are killed with -9."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded import start_embedded
from stepwell.store.embedded.postmaster import pid_file
from tests.store.embedded.processes import SECONDS, USER, User, query, server_pid, wait_for_exit


def test_eight_processes_at_once_share_one_server_even_where_a_creation_was_interrupted(new_folder: Path) -> None:
    torn = new_folder / "data.new-torn"
    (torn / "base").mkdir(parents=True)
    (torn / "PG_VERSION").write_text("18\n")

    with ExitStack() as stack:
        users = [stack.enter_context(User(new_folder)) for _ in range(8)]

        urls = {user.says() for user in users}

        assert len(urls) == 1
        assert query(urls.pop(), "SELECT current_database()") == "stepwell"
        assert (new_folder / "server.log").read_text().count("starting PostgreSQL") == 1
        assert [path.name for path in new_folder.glob("data*")] == ["data"]


def test_last_one_out_stops_the_server(folder: Path) -> None:
    first, last = start_embedded(folder), start_embedded(folder)
    pid = server_pid(folder)

    first.close()
    first.close()
    assert query(last.url, "SELECT 1") == 1

    last.close()
    wait_for_exit(pid)
    assert not pid_file(folder).exists()


def test_closed_share_never_starts_the_server_again(folder: Path) -> None:
    server = start_embedded(folder)
    server.close()

    with pytest.raises(EmbeddedUnavailable, match="was closed by this process"):
        server.ensure_running()


def test_process_that_exits_without_closing_is_out(folder: Path) -> None:
    with User(folder, script=USER) as user:
        user.says()
        user.ends()

    assert not pid_file(folder).exists()


def test_killed_user_neither_stops_the_server_nor_keeps_it(folder: Path) -> None:
    with User(folder) as killed, start_embedded(folder) as server:
        killed.says()
        pid = server_pid(folder)

        killed.process.kill()
        killed.process.wait(SECONDS)
        assert query(server.url, "SELECT 1") == 1

    wait_for_exit(pid)


def test_server_whose_users_were_all_killed_is_taken_over_by_the_next(folder: Path) -> None:
    with User(folder) as killed:
        killed.says()
        pid = server_pid(folder)
        killed.process.kill()
        killed.process.wait(SECONDS)

    with start_embedded(folder) as server:
        assert query(server.url, "SELECT 1") == 1
        assert server_pid(folder) == pid

    wait_for_exit(pid)


FORKING_USER = (
    USER
    + """
import os
ask, answer = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(ask[1])
    server.close()
    os.write(answer[1], b".")
    os.read(ask[0], 1)  # lives on until its parent has ended
    os._exit(0)
os.read(answer[0], 1)
print("child has closed", flush=True)
sys.stdin.readline()
server.close()
print("parent has closed", flush=True)
sys.stdin.read()
"""
)


def test_forked_child_neither_owns_nor_keeps_the_server(folder: Path) -> None:
    with User(folder, script=FORKING_USER) as parent:
        url = parent.says()
        pid = server_pid(folder)
        assert parent.says() == "child has closed"
        assert query(url, "SELECT 1") == 1

        assert parent.process.stdin is not None
        print(file=parent.process.stdin, flush=True)

        assert parent.says() == "parent has closed"
        wait_for_exit(pid)


ABANDONING_USER = (
    USER
    + """
import os, signal
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
signal.pause()
"""
)


def test_forked_child_that_outlives_its_killed_parent_does_not_keep_the_server(folder: Path) -> None:
    with User(folder, script=ABANDONING_USER) as parent:
        parent.says()
        assert parent.says() == "forked"
        pid = server_pid(folder)
        parent.process.kill()
        parent.process.wait(SECONDS)

        start_embedded(folder).close()

        wait_for_exit(pid)
