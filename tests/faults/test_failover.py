"""The database's server is lost, and a standby takes its place: with all that was acknowledged, or with less."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell import UnknownExecution
from stepwell.store.migrate import migrate
from tests.faults.harness import Site
from tests.faults.invariants import violations
from tests.faults.processes import SECONDS
from tests.own_server import Server, own_server, standby_of

LEASE = 1.0


class Pair:
    """A server and its standby, which gets every commit by streaming replication."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby
        _until(primary, "select exists (select from pg_stat_replication where state = 'streaming')")

    @property
    def url(self) -> str:
        """For whichever of the two takes writes."""
        first, second = conninfo_to_dict(self.primary.url), conninfo_to_dict(self.standby.url)
        both = {name: f"{first[name]},{second[name]}" for name in ("host", "port")}
        return make_conninfo("", **{**first, **both}, target_session_attrs="read-write")

    def wait_for_standby(self) -> None:
        """From now on a commit is acknowledged when the standby has it, too."""
        self.primary.set(synchronous_standby_names="*")

    def cut(self) -> None:
        """From now on the standby, which has everything, gets nothing, and nobody waits for it."""
        _until(self.primary, "select replay_lsn >= pg_current_wal_insert_lsn() from pg_stat_replication")
        self.standby.set(primary_conninfo="")
        _until(self.standby, "select not exists (select from pg_stat_wal_receiver)")

    def fail_over(self) -> None:
        self.primary.stop(signal.SIGKILL)
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute("select pg_promote()")


def _until(server: Server, question: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"set statement_timeout = '{SECONDS:.0f}s'".encode())
        while connection.execute(question.encode()).fetchone() != (True,):
            connection.execute("select pg_sleep(0.02)")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with own_server() as primary, standby_of(primary) as standby:
        yield Pair(primary, standby)


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
