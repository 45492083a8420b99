"""Everything works through PgBouncer in transaction mode, where a session's state does not outlive a transaction."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell import App, ExecutionFailed, Permanent, Retry, Step
from tests.app.test_transactions import insert
from tests.own_server import own_server

PORT = 6432  # a name for the socket, no port
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="there is no pgbouncer here; on Debian: apt install pgbouncer"
)


def settings(database: dict[str, Any], folder: str) -> str:
    """Four connections to the server for all clients; a client's settings at the start are refused."""
    return f"""
[databases]
* = host={database["host"]} port={database.get("port", 5432)} user={database["user"]}
[pgbouncer]
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
auth_type = any
listen_addr =
listen_port = {PORT}
unix_socket_dir = {folder}
"""


@contextmanager
def pgbouncer(server_url: str) -> Iterator[str]:
    """The folder of PgBouncer's socket. It refuses to run as root."""
    assert PGBOUNCER is not None
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="stepwell-pooler-") as folder:
        ini = Path(folder) / "pgbouncer.ini"
        ini.write_text(settings(conninfo_to_dict(server_url), folder))
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
            ini.chmod(0o644)
        process = subprocess.Popen(
            [PGBOUNCER, ini],
            stderr=subprocess.PIPE,
            text=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        try:
            assert process.stderr is not None
            assert any("process up" in line for line in process.stderr), "pgbouncer does not start"
            yield folder
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    """(the database's URL, its URL through the pooler)"""
    with own_server() as server, pgbouncer(server.url) as folder:
        yield server.url, make_conninfo(server.url, host=folder, port=PORT)


@pytest.fixture
def database_url(urls: tuple[str, str]) -> str:
    """The database without the pooler."""
    return urls[0]


@pytest.fixture
async def app(urls: tuple[str, str]) -> AsyncIterator[App]:
    """An App that knows the database through the pooler only."""
    async with App(urls[1]) as app:
        yield app


async def test_pooler_is_recognised_and_the_worker_polls(app: App) -> None:
    """F101: neither LISTEN nor a prepared statement would last."""
    client = await app.open()

    assert client.store.is_prompt is False


async def test_everything_works_through_a_transaction_pooler(app: App, database_url: str) -> None:
    """F101: steps, maps, sleeps, retries, transactions, failures, keys, cancelling."""
    errors = [ValueError("once")]

    async def flaky() -> str:
        if errors:
            raise errors.pop()
        return "ok"

    async def refuse() -> None:
        raise Permanent("no")

    @app.workflow
    async def good(number: int, step: Step) -> list[Any]:
        await step.sleep("nap", "20ms")
        return [
            await step(retry=Retry(2, first_delay="1ms")).run("flaky", flaky),
            await step.map("items", abs, [-1, -2, number]),
            await step.transaction("store", insert, number),
        ]

    @app.workflow
    async def bad(step: Step) -> None:
        await step.run("refuse", refuse)

    with psycopg.connect(database_url) as connection:
        connection.execute("create table orders (number integer)")
    async with app.worker():
        handles = [await app.start(good, 1, key="one"), await app.start(good, 2, key="two")]
        failing, waiting = await app.start(bad), await app.start(good, 3, delay="1d")
        assert not (await app.start(good, 1, key="one")).is_new
        assert [await handle.result("20s") for handle in handles] == [["ok", [1, 2, n], n] for n in (1, 2)]
        with pytest.raises(ExecutionFailed, match="no"):
            await failing.result("20s")
        assert await waiting.cancel() == "cancelled"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select number from orders order by 1").fetchall() == [(1,), (2,)]


async def test_many_clients_share_few_connections(app: App, database_url: str) -> None:
    @app.workflow
    async def double(number: int, step: Step) -> int:
        return await step.run("double", lambda: 2 * number)

    others = [App(app._given) for _ in range(6)]
    for other in others:
        other.registry = app.registry
    async with app.worker(), others[0].worker(), others[1].worker():
        handles = await asyncio.gather(*(other.start(double, n) for n, other in enumerate(others * 10)))
        assert await asyncio.gather(*(handle.result("30s") for handle in handles)) == [2 * n for n in range(60)]
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select count(*) from pg_stat_activity where datname = current_database()").fetchone()
    for other in others:
        await other.close()

    assert row is not None
    assert row[0] <= 5
