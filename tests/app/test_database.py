"""The database an App uses: who may change its schema, who comes first, which schema it is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell import App, DatabaseNotReady, DatabaseUnavailable, Handle, InvalidOption, Step

OPEN = "import asyncio, sys; from stepwell import App; asyncio.run(App(sys.argv[1]).open())"


def tables(url: str, schema: str = "stepwell") -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = %s", [schema])
        return {row[0] for row in found}


async def double_four(app: App) -> int:
    """The whole way once."""

    @app.workflow
    async def double(number: int, step: Step) -> int:
        return await step.run("double", lambda: 2 * number)

    async with app, app.worker():
        return await (await app.start(double, 4)).result("20s")


def launch(url: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, url], text=True, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )


async def test_empty_database_is_made_ready_by_the_first_who_opens_it(empty_database_url: str) -> None:
    assert await double_four(App(empty_database_url)) == 8


def test_ten_processes_may_open_an_empty_database_at_once(empty_database_url: str) -> None:
    """F97."""
    launched = [launch(empty_database_url) for _ in range(10)]

    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in launched]

    assert ends == [("", 0)] * 10
    assert {"worker", "execution", "checkpoint", "attempt", "migration"} <= tables(empty_database_url)


async def test_process_killed_inside_a_migration_leaves_neither_half_a_schema_nor_a_lock(
    empty_database_url: str,
) -> None:
    """F97."""
    killed = launch(empty_database_url, STEPWELL_FAILPOINTS="in_migration=kill")
    assert killed.wait(60) == -signal.SIGKILL
    assert tables(empty_database_url) == set()

    assert await double_four(App(empty_database_url)) == 8


async def test_schema_of_another_name_is_all_that_is_used(empty_database_url: str) -> None:
    assert await double_four(App(empty_database_url, schema="billing")) == 8

    assert "execution" in tables(empty_database_url, "billing")
    assert tables(empty_database_url) == set()


async def test_two_schemas_of_one_database_do_not_see_each_other(empty_database_url: str) -> None:
    billing, shipping = (App(empty_database_url, schema=name) for name in ("billing", "shipping"))
    for app in (billing, shipping):

        @app.workflow(id="flow")
        async def flow(number: int) -> int:
            return number

    async with billing, shipping:
        mine: Handle[int] = await billing.start("flow", 1, key="same")
        other: Handle[int] = await shipping.start("flow", 2, key="same")
        async with billing.worker(), shipping.worker():
            assert await mine.result("30s") == 1
            assert await other.result("30s") == 2
        assert [one.id for one in await billing.list()] == [mine.id]


@pytest.mark.parametrize("name", ["a b", 'a"b', "a;b", "x" * 80, "1st", "a\0b", "pg_temp", "ünïcode"])
async def test_schema_name_that_could_be_misread_is_refused(database_url: str, name: str) -> None:
    with pytest.raises(InvalidOption, match="schema"):
        await App(database_url, schema=name).open()


# --- roles --------------------------------------------------------------------------------------------------------


@pytest.fixture
def runtime_url(database_url: str) -> Iterator[str]:
    """The database as a role sees it that may read and write the tables, and nothing else."""
    name = f"runtime_{uuid4().hex}"
    role = sql.Identifier(name)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login").format(role))
        owner.execute(sql.SQL("revoke create on schema public from public"))
        owner.execute(sql.SQL("grant usage on schema stepwell to {}").format(role))
        owner.execute(
            sql.SQL("grant select, insert, update, delete on all tables in schema stepwell to {}").format(role)
        )
        yield make_conninfo(database_url, user=name)
        owner.execute(sql.SQL("drop owned by {}").format(role))
        owner.execute(sql.SQL("drop role {}").format(role))


async def test_runtime_role_needs_no_ddl(runtime_url: str) -> None:
    """The security table: database roles."""
    with psycopg.connect(runtime_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("create table stepwell.mine (id int)")

    assert await double_four(App(runtime_url)) == 8


async def test_runtime_role_on_an_empty_database_is_told_who_must_do_what(
    empty_database_url: str, runtime_url: str
) -> None:
    name = conninfo_to_dict(empty_database_url)["dbname"]
    with psycopg.connect(empty_database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("revoke create on database {} from public").format(sql.Identifier(str(name))))

    with pytest.raises(DatabaseNotReady, match="run `stepwell migrate` as the owner"):
        await App(make_conninfo(runtime_url, dbname=name)).open()


async def test_process_that_may_not_migrate_says_which_command_helps(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_MIGRATE", "0")

    with pytest.raises(DatabaseNotReady, match="run `stepwell migrate`"):
        await App(empty_database_url).open()

    assert tables(empty_database_url) == set()


async def test_code_older_than_the_database_refuses_to_start(database_url: str) -> None:
    """F98."""
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into stepwell.migration values (9999, '9999_contract_future.sql', 'x')")

    with pytest.raises(DatabaseNotReady, match="upgrade stepwell"):
        await App(database_url).open()


async def test_changed_migration_is_noticed(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("update stepwell.migration set checksum = 'x'")

    with pytest.raises(DatabaseNotReady, match="in another form"):
        await App(database_url).open()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql://127.0.0.1:1/none", DatabaseUnavailable),
        ("postgresql://no-such-host.invalid/none", DatabaseUnavailable),
        ("host=/nowhere dbname=none", DatabaseUnavailable),
        ("nonsense", InvalidOption),
        ("postgresql://user:secret@host:port/db", DatabaseUnavailable),
        ("postgresql://user:secret@[host/db", InvalidOption),
    ],
)
async def test_database_that_cannot_be_reached_is_told_in_one_sentence_without_the_password(
    url: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await App(url).open()

    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_database_may_be_named_by_the_environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DATABASE_URL", database_url)
    monkeypatch.setenv("STEPWELL_SCHEMA", "named")

    assert await double_four(App()) == 8
    assert "execution" in tables(database_url, "named")


async def test_opening_twice_at_once_opens_once(database_url: str) -> None:
    app = App(database_url)

    clients = await asyncio.gather(app.open(), app.open(), app.open())

    assert len({id(client) for client in clients}) == 1
    await app.close()
