"""What an embedded server opens to others, and what it is set to."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from stepwell.store.embedded import EmbeddedServer, cluster, start_embedded
from stepwell.store.embedded.data_folder import SETTINGS
from tests.store.embedded.machine import linux_only
from tests.store.embedded.processes import query, server_pid


@linux_only
def test_no_tcp_port_is_open(running: EmbeddedServer) -> None:
    try:
        files = open_files(server_pid(running.folder))
    except PermissionError:
        pytest.skip("this container may not look at the server's files")
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    listening = {f"socket:[{line.split()[9]}]" for table in tables if table.exists() for line in table.open()}

    assert any(file.startswith("socket:") for file in files)
    assert not listening.intersection(files)
    assert query(running.url, "SHOW listen_addresses") == ""


def open_files(pid: int) -> list[str]:
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(file))
    return found


def test_socket_is_closed_to_other_users(running: EmbeddedServer) -> None:
    socket = running.folder / "data" / ".s.PGSQL.5432"

    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes", "autovacuum"])
def test_durability_and_autovacuum_are_on(running: EmbeddedServer, setting: str) -> None:
    assert query(running.url, f"SHOW {setting}") == "on"


@pytest.mark.parametrize(("setting", "value"), SETTINGS.items())
def test_setting_is_in_force(running: EmbeddedServer, setting: str, value: str) -> None:
    shown = {"pglz": "on"}.get(found := str(query(running.url, f"SHOW {setting}")), found)  # what wal_compression says

    assert shown == value


def test_two_who_write_at_once_wait_for_each_other(running: EmbeddedServer) -> None:
    """F31: the second one neither fails at once nor overwrites the first."""
    with psycopg.connect(running.url) as one, psycopg.connect(running.url, autocommit=True) as other:
        other.execute("create table if not exists counter as select 0 as value")
        one.execute("update counter set value = 0")
        one.commit()
        one.execute("update counter set value = value + 1")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(other.execute, "update counter set value = value + 1")
            while not one.execute("select 1 from pg_locks where not granted").fetchone():
                assert not waiting.done()
            one.commit()
            waiting.result(timeout=10)

        assert other.execute("select value from counter").fetchone() == (2,)
        other.execute("drop table counter")


def test_folder_stays_out_of_commits(running: EmbeddedServer) -> None:
    assert (running.folder / ".gitignore").read_text() == "*\n"


def test_log_is_rotated_at_start(folder: Path) -> None:
    (folder / "server.log").write_text("x" * (cluster.MAX_LOG_BYTES + 1))

    start_embedded(folder).close()

    assert (folder / "server.log").stat().st_size < cluster.MAX_LOG_BYTES
    assert (folder / "server.log.1").stat().st_size > cluster.MAX_LOG_BYTES
