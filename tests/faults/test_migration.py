"""Workers that come up together on an empty database, one of which dies in the middle of creating the schema."""

from __future__ import annotations

import signal
from pathlib import Path

from stepwell.store.migrate import migrate, migrations
from tests.faults.harness import Site

NEITHER = [(None, None)]
WAITING = """
    select count(*) from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'advisory' and not l.granted
"""


async def test_kill_in_a_migration_leaves_nothing_in_the_way(empty_database_url: str, tmp_path: Path) -> None:
    """F97: neither half a schema nor a lock."""
    async with Site.at(empty_database_url, tmp_path) as site:
        victim = site.worker(points="in_migration=kill")
        assert await victim.ended() == -signal.SIGKILL
        assert (
            await site.query("select to_regclass('stepwell.migration'), to_regclass('stepwell.execution')") == NEITHER
        )

        await site.ready(site.worker())

    assert migrate(empty_database_url) == []


async def test_ten_workers_at_once_on_an_empty_database(empty_database_url: str, tmp_path: Path) -> None:
    """F97: one of them migrates, stands still in the middle and dies; the others wait for it, then one of them does."""
    async with Site.at(empty_database_url, tmp_path) as site:
        victim = site.worker(points="in_migration=pause")
        await victim.paused()
        crew = [site.worker() for _ in range(9)]
        await site.shows(WAITING, (len(crew),))
        victim.kill()
        await site.ready(*crew)

        rows = await site.query("select count(*) from stepwell.migration")
    assert rows == [(len(migrations()),)]
