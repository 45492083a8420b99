"""The database goes away, comes back, or refuses, under load. Workers wait and go on; nothing is lost or made up."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stepwell import DatabaseUnavailable
from stepwell.store.embedded import EmbeddedServer, start_embedded
from stepwell.store.migrate import migrate
from stepwell.store.postgres import PostgresStore
from tests.faults.harness import Site
from tests.faults.processes import SECONDS
from tests.store.embedded.processes import server_pid, wait_for_exit

LEASE = 1.0
BACKENDS = "from pg_stat_activity where datname = current_database() and application_name like 'worker-%%'"


async def test_connections_terminated_again_and_again(site: Site) -> None:
    """F6, F27, F35: every connection of every worker, ten times. A loss is soon made good, however many came before."""
    await site.start_journeys(150, pace=0.02)
    workers = [site.worker(lease=LEASE) for _ in range(2)]
    await site.ready(*workers)

    for round in range(1, 11):
        await site.begun(60 * round)
        await site.query(f"select pg_terminate_backend(pid) {BACKENDS}")
    await site.finished()

    await site.check()
    pauses = [float(found) for worker in workers for found in re.findall(r"trying again in ([\d.]+) s", worker.said())]
    assert pauses
    assert max(pauses) < 2


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_statement_sent_to_a_server_that_is_leaving_is_answered(database_url: str, loop: str) -> None:
    """F27, F41: the server closes with the statement unread. uvloop tells of that once, of whatever follows never."""
    run = pytest.importorskip(loop).run
    run(send_to_a_leaving_server(database_url))


async def send_to_a_leaving_server(url: str) -> None:
    store = PostgresStore(url)
    await store.open()
    await store.count()
    with psycopg.connect(url, autocommit=True, application_name="audit") as admin:
        others = "from pg_stat_activity where datname = current_database() and application_name = 'stepwell'"
        pids = [pid for (pid,) in admin.execute(f"select pid {others}")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        admin.execute(f"select pg_terminate_backend(pid) {others}")
        counting = asyncio.create_task(store.count())
        await asyncio.wait([counting], timeout=0.1)  # it has been sent; nobody reads it
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(counting, SECONDS)
        assert sum((await store.count()).values()) == 0
    await store.close()


async def test_statements_cancelled_again_and_again(site: Site) -> None:
    """F22: an administrator cancels whatever runs. No step is repeated because its result could not be stored."""
    await site.start_journeys(100, pace=0.02)
    site.worker(lease=LEASE, short_wait=0.0)

    for count in range(20, 860, 20):
        await site.begun(count)
        await site.query(f"select pg_cancel_backend(pid) {BACKENDS} and state = 'active'")
    await site.finished()

    await site.check()


# disk full, out of memory, I/O error, deadlock, lock not available, statement cancelled
@pytest.mark.parametrize("code", ["53100", "53200", "58030", "40P01", "55P03", "57014"])
async def test_results_are_refused_for_a_while(site: Site, code: str) -> None:
    """F22, F39: the worker waits with what it has and stores it later; no step is repeated for it."""
    await site.query("create sequence audit.refusals")
    await site.query(REFUSE.replace("{code}", code))
    await site.query("create trigger refuse before insert on stepwell.checkpoint execute function audit.refuse()")
    await site.start_journeys(20)
    site.worker(lease=LEASE)

    await site.shows("select last_value > 2 from audit.refusals", (True,))
    await site.query("drop trigger refuse on stepwell.checkpoint")
    await site.finished()

    await site.check()


REFUSE = """
create function audit.refuse() returns trigger language plpgsql as $$
begin
    perform nextval('audit.refusals');
    raise exception 'refused for the test' using errcode = '{code}';
end $$
"""


# A server of its own, which may be stopped


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server that nobody else uses."""
    with TemporaryDirectory(prefix="stepwell-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's server runs as another user, who has to get in
        with start_embedded(folder / "postgresql") as server:
            yield server


@asynccontextmanager
async def on(server: EmbeddedServer, folder: Path) -> AsyncIterator[Site]:
    """A fresh database on that server."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"create database {folder.name}".encode())
    url = make_conninfo(server.url, dbname=folder.name)
    migrate(url)
    async with Site.at(url, folder) as site:
        await site.watch()
        yield site


def restart_at_once(server: EmbeddedServer, how: signal.Signals = signal.SIGQUIT) -> None:
    """As `pg_ctl restart -m immediate`: no connection is told goodbye, and the log is replayed."""
    pid = server_pid(server.folder)
    os.kill(pid, how)
    wait_for_exit(pid)
    server.ensure_running()


async def test_server_restarted_again_and_again(server: EmbeddedServer, tmp_path: Path) -> None:
    """F6, F23, F27: in the middle of everything."""
    async with on(server, tmp_path) as site:
        await site.start_journeys(150, pace=0.02)
        await site.ready(*(site.worker(lease=LEASE) for _ in range(2)))

        for round in range(1, 4):
            await site.begun(200 * round)
            await asyncio.to_thread(restart_at_once, server)
        await site.finished()

        evidence = await site.check()
        assert max(move.crashes for move in evidence.moves) <= 2


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
async def test_events_sent_right_after_the_server_was_killed_reach_who_waited(
    server: EmbeddedServer, tmp_path: Path, how: signal.Signals
) -> None:
    """F6, F41: waits outlive the server; nobody has to look for them, and no worker dies of it."""
    async with on(server, tmp_path) as site:
        numbers, keys = await site.start_voyages(10), await site.start_replies(30)
        workers = [site.worker(lease=LEASE) for _ in range(2)]
        await site.ready(*workers)
        await site.waiting(40)

        await asyncio.to_thread(restart_at_once, server, how)
        await site.let_go(numbers)
        for key in keys:
            await site.app.send_event("word", key, key=key)
        await site.finished()

        await site.check()
        assert [worker.code for worker in workers] == [None, None]


async def test_server_that_becomes_read_only_is_waited_for(server: EmbeddedServer, tmp_path: Path) -> None:
    """F28: as after a failover to a standby, or with a full disk and a careful operator; a long step goes on."""
    async with on(server, tmp_path) as site:
        await site.start_journeys(50, pace=0.02)
        await site.start_hog("block_thread", seconds=3 * LEASE)
        worker = site.worker(lease=LEASE)
        await site.begun(60)

        await set_read_only(site, "on")
        async with asyncio.timeout(SECONDS):
            while "trying again" not in worker.said():
                await site.query("select 1")
        await set_read_only(site, "off")
        await site.finished()

        await site.check()


async def set_read_only(site: Site, value: str) -> None:
    await site.query("set default_transaction_read_only = off")
    await site.query(f"alter system set default_transaction_read_only = {value}")
    await site.query("select pg_reload_conf()")
