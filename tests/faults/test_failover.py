"""The database's server is lost, and a standby takes its place: with all that was acknowledged, or with less."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell import UnknownExecution
from stepwell.store.embedded import EmbeddedServer, start_embedded
from stepwell.store.migrate import migrate
from tests.faults.harness import Site
from tests.faults.invariants import violations
from tests.faults.processes import SECONDS
from tests.store.embedded.processes import server_pid, wait_for_exit

LEASE = 1.0
NOT_COPIED = ("postmaster.*", ".s.PGSQL.*")  # what belongs to the process


class Pair:
    """A server and its standby, which gets every commit by streaming replication."""

    def __init__(self, primary: EmbeddedServer, standby: EmbeddedServer) -> None:
        self.primary, self.standby = primary, standby

    @property
    def url(self) -> str:
        """For whichever of the two takes writes."""
        first, second = conninfo_to_dict(self.primary.url), conninfo_to_dict(self.standby.url)
        both = {name: f"{first[name]},{second[name]}" for name in ("host", "port")}
        return make_conninfo("", **{**first, **both}, target_session_attrs="read-write")

    def wait_for_standby(self) -> None:
        """From now on a commit is acknowledged when the standby has it, too."""
        _set(self.primary, "synchronous_standby_names", "*")

    def cut(self) -> None:
        """From now on the standby, which has everything, gets nothing, and nobody waits for it."""
        _until(self.primary, "select replay_lsn >= pg_current_wal_insert_lsn() from pg_stat_replication")
        _set(self.standby, "primary_conninfo", "")
        _until(self.standby, "select not exists (select from pg_stat_wal_receiver)")

    def fail_over(self) -> None:
        pid = server_pid(self.primary.folder)
        os.kill(pid, signal.SIGKILL)
        wait_for_exit(pid)
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute("select pg_promote()")


@contextmanager
def paired(folder: Path) -> Iterator[Pair]:
    for name in ("primary", "standby"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)  # root's servers run as another user, who has to get in, and to the other one
    with start_embedded(folder / "primary") as primary:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("select pg_backup_start('standby', true)")
            _copy(primary.folder, folder / "standby")
            label = connection.execute("select labelfile from pg_backup_stop(false)").fetchone()
        assert label is not None
        _make_standby(folder / "standby", str(label[0]), of=primary)
        with start_embedded(folder / "standby") as standby:
            _until(primary, "select exists (select from pg_stat_replication where state = 'streaming')")
            yield Pair(primary, standby)


def _copy(folder: Path, to: Path) -> None:
    subprocess.run(["cp", "-a", folder / "data", to / "data"], check=True)
    for name in NOT_COPIED:
        for file in (to / "data").glob(name):
            file.unlink()


def _make_standby(folder: Path, label: str, *, of: EmbeddedServer) -> None:
    owner = (folder / "data").stat()
    source = make_conninfo(of.url, dbname=None)
    for name, text in (("backup_label", label), ("standby.signal", "")):
        (folder / "data" / name).write_text(text)
        os.chown(folder / "data" / name, owner.st_uid, owner.st_gid)
    with (folder / "data" / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{source}'\n")


def _set(server: EmbeddedServer, name: str, value: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"alter system set {name} = '{value}'".encode())
        connection.execute("select pg_reload_conf()")


def _until(server: EmbeddedServer, question: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"set statement_timeout = '{SECONDS:.0f}s'".encode())
        while connection.execute(question.encode()).fetchone() != (True,):
            connection.execute("select pg_sleep(0.02)")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with TemporaryDirectory(prefix="stepwell-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with paired(folder) as pair:
            yield pair


@asynccontextmanager
async def on(pair: Pair, folder: Path) -> AsyncIterator[Site]:
    migrate(pair.url)
    async with Site.at(pair.url, folder) as site:
        await site.watch()
        yield site


async def test_nothing_acknowledged_is_lost_with_a_synchronous_standby(pair: Pair, tmp_path: Path) -> None:
    """F28, F29: whoever was connected finds the new server by itself, in the middle of everything."""
    async with on(pair, tmp_path) as site:
        await asyncio.to_thread(pair.wait_for_standby)
        await site.start_journeys(100, pace=0.02)
        await site.ready(*(site.worker(lease=LEASE) for _ in range(2)))

        await site.begun(200)
        await asyncio.to_thread(pair.fail_over)
        await site.finished()

        await site.check()


async def test_nothing_is_built_on_what_an_asynchronous_standby_does_not_have(pair: Pair, tmp_path: Path) -> None:
    """F29: what it lacks is done again, in order: no history goes on behind a hole. What it never heard of is unknown.

    The worker is full, so that it does not ask for work: all that it would have noticed is a new connection.
    """
    async with on(pair, tmp_path) as site:
        await site.start_journeys(6, pace=2.0)
        worker = site.worker(lease=LEASE, concurrency=6)
        await site.begun(6)
        await asyncio.to_thread(pair.cut)
        await site.begun(12)  # the first step of each is acknowledged, and the second goes on
        late = await site.app.start("errand", {"number": 1})

        await asyncio.to_thread(pair.fail_over)
        await site.finished()

        evidence = await site.evidence()
        stored = {row.token for row in evidence.stored}
        counted = [run for run in evidence.runs if run.token in stored or run.ending == "raise"]
        assert len(evidence.runs) - len(counted) == 12  # both steps of each, which were lost and cut
        assert violations(replace(evidence, runs=counted)) == []
        assert worker.code is None
        with pytest.raises(UnknownExecution):
            await late.status()
