"""One real PostgreSQL for each test process, and a fresh database for every test that asks."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stepwell.store.embedded import start_embedded
from stepwell.store.migrate import migrate, migrations
from tests.databases import Admin, drop_database, fresh_database

# A shell that runs tests in the background has them ignore Ctrl-C, and with them the programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a property says is no matter of milliseconds, and a machine may be busy with something else.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

GIGABYTE = 2**30
TEMPLATE = f"stepwell_test_{migrations()[-1].number}_{migrations()[-1].checksum[:12]}"


def pytest_collection_finish() -> None:
    """Ten thousand tests are never garbage: without them each look for it takes a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server of this test process's own, or that of STEPWELL_TEST_DATABASE_URL (15 or later)."""
    if given := os.environ.get("STEPWELL_TEST_DATABASE_URL"):
        yield given
        return
    with TemporaryDirectory(prefix="stepwell-tests-", dir=_memory()) as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's server runs as another user, who has to get in
        with start_embedded(folder / "postgresql") as server:
            _forget_durability(server.url)
            yield server.url


def _memory() -> Path | None:
    """Where files are in memory, if there is room: a database has 300 of them, and each test takes its own."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 4 * GIGABYTE else None


def _forget_durability(url: str) -> None:
    """No test cuts the power, and databases are copied five times as fast."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def admin(server_url: str) -> Iterator[Admin]:
    """A connection that makes and drops databases."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def template(admin: Admin, server_url: str) -> str:
    """The name of a migrated database to copy; made once, whichever test process comes first."""
    admin.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [TEMPLATE])
    try:
        if not admin.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone():
            draft = f"{TEMPLATE}_draft"
            drop_database(admin, draft)
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(draft)))
            migrate(make_conninfo(server_url, dbname=draft))
            admin.execute(
                sql.SQL("alter database {} rename to {}").format(sql.Identifier(draft), sql.Identifier(TEMPLATE))
            )
    finally:
        admin.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [TEMPLATE])
    return TEMPLATE


@pytest.fixture
def empty_database_url(admin: Admin, server_url: str) -> Iterator[str]:
    """A fresh database without our schema."""
    with fresh_database(admin, server_url, "template1") as url:
        yield url


@pytest.fixture
def database_url(admin: Admin, server_url: str, template: str) -> Iterator[str]:
    """A fresh, migrated, empty database."""
    with fresh_database(admin, server_url, template) as url:
        yield url
