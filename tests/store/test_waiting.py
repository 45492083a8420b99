"""One call that has to wait for somebody else's transaction holds up nobody who does not ask for the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stepwell.core.model import Filter
from stepwell.errors import DatabaseUnavailable
from stepwell.store.foreign import create_on_sync
from stepwell.store.migrate import LOCK_TIMEOUT, migrate, migrations
from tests.store.world import SIGNAL_SECONDS, PostgresWorld, execution


@pytest.fixture
async def impatient(database_url: str) -> AsyncIterator[PostgresWorld]:
    """A store whose URL has starts wait for a shorter time."""
    it = PostgresWorld(make_conninfo(database_url, options="-c lock_timeout=100ms"))
    await it.store.open()
    yield it
    await it.store.close()


@pytest.fixture
def held_key(database_url: str) -> Iterator[psycopg.Connection]:
    """A caller's open transaction that has started the key `k`."""
    with psycopg.connect(database_url) as connection:
        create_on_sync(connection, [execution(key="k")], schema="stepwell")
        yield connection


async def blocked(pid: int, url: str, *, longer_than: str = "0 s") -> None:
    """Return when somebody waits for that connection, since so long."""
    async with asyncio.timeout(SIGNAL_SECONDS), await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher:
        waiting = (
            "select count(*) from pg_stat_activity"
            " where %s = any(pg_blocking_pids(pid)) and clock_timestamp() - query_start > %s::interval"
        )
        while (await (await watcher.execute(waiting, [pid, longer_than])).fetchone()) == (0,):
            pass


async def test_start_that_waits_for_its_key_holds_up_nobody_else(
    postgres: PostgresWorld, held_key: psycopg.Connection
) -> None:
    session = await postgres.worker()
    other = await postgres.start()
    start = asyncio.create_task(postgres.store.create([execution(key="k")]))
    await blocked(held_key.info.backend_pid, postgres.url)

    async with asyncio.timeout(SIGNAL_SECONDS):
        assert await postgres.claimed_ids(session) == [other]
        assert await postgres.store.cancel(other, reason="no longer needed")
        assert len(await postgres.store.list(Filter(), limit=10)) == 1
        assert not start.done()
        held_key.commit()
        (created,) = await start

    assert not created.is_new


async def test_start_waits_for_its_key_for_a_while_only(impatient: PostgresWorld, held_key: psycopg.Connection) -> None:
    with pytest.raises(DatabaseUnavailable, match="key 'k' is being started by a transaction still open; try again"):
        await impatient.store.create([execution(key="k")])
    with pytest.raises(DatabaseUnavailable, match="one of 2 keys is being started"):
        await impatient.store.create([execution(key="k"), execution(key="l")])

    held_key.rollback()
    (created,) = await impatient.store.create([execution(key="k")])
    assert created.is_new


async def test_idle_worker_needs_no_connections_for_starts_and_reading(postgres: PostgresWorld) -> None:
    await postgres.claim(await postgres.worker())

    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and application_name = 'stepwell' and pid <> pg_backend_pid()"
        ).fetchone()
    assert row == (1,)


def test_migration_waits_for_one_that_is_under_way_however_long(empty_database_url: str) -> None:
    """F97: only a wait for a table is cut short; nine processes that start with the first one need not fail."""
    waits_long = (
        "select exists (select from pg_locks, pg_sleep(0.1) where locktype = 'advisory' and not granted"
        " and waitstart < clock_timestamp() - interval '1 second' - %s::interval)"
    )
    with ThreadPoolExecutor(1) as thread, psycopg.connect(empty_database_url, autocommit=True) as first:
        first.execute("select pg_advisory_lock(hashtextextended('stepwell migration stepwell', 0))")
        second = thread.submit(migrate, empty_database_url)
        while first.execute(waits_long, [LOCK_TIMEOUT]).fetchone() != (True,):
            assert not second.done(), second.result()
        first.execute("select pg_advisory_unlock_all()")

        assert second.result(SIGNAL_SECONDS) == [migration.name for migration in migrations()]


async def test_late_answer_does_not_set_the_clock_back(postgres: PostgresWorld) -> None:
    """F54: else a sleep would be shorter by as much as the claim before it took."""

    def behind() -> timedelta:
        return timedelta(seconds=time.monotonic()) - (postgres.store.now() - datetime.fromtimestamp(0, UTC))

    session = await postgres.worker()
    before = behind()
    with psycopg.connect(postgres.url) as holder:
        holder.execute("lock table stepwell.execution in access exclusive mode")
        claim = asyncio.create_task(postgres.claim(session))
        await blocked(holder.info.backend_pid, postgres.url, longer_than="300 ms")
        holder.rollback()
        await claim

    assert behind() - before < timedelta(milliseconds=1)
