"""`stepwell migrate`: applies what is missing, and prints without touching."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stepwell.store.migrate import migrations, script
from tests.cli.conftest import Cli, run

NAMES = [migration.name for migration in migrations()]


@pytest.fixture
def empty(empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STEPWELL_DATABASE_URL", empty_database_url)
    return empty_database_url


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("select nspname from pg_namespace where nspname !~ '^pg_'")}


def test_what_is_applied_is_printed_and_the_second_time_there_is_nothing_to_do(empty: str) -> None:
    first, second = run("migrate"), run("migrate")

    assert (first.exit_code, first.stdout.splitlines()) == (0, NAMES)
    assert first.stderr == "schema stepwell is at this version\n"
    assert (second.exit_code, second.stdout) == (0, "")
    assert second.stderr == "schema stepwell is at this version already; nothing was to be done\n"


def test_json_says_what_was_applied(empty: str) -> None:
    answers = [json.loads(run("migrate", "--schema", "orders", "--json").stdout) for _ in range(2)]

    assert answers == [{"schema": "orders", "applied": NAMES}, {"schema": "orders", "applied": []}]
    assert "orders" in schemas(empty)


def test_printing_touches_nothing_and_what_is_printed_does_the_same(empty: str) -> None:
    printed = run("migrate", "--print", "--schema", "orders")

    assert printed.stdout == script(schema="orders")
    assert "orders" not in schemas(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(printed.stdout.encode())
    assert json.loads(run("migrate", "--schema", "orders", "--json").stdout)["applied"] == []


def test_printing_needs_no_database(cli_without_database: Cli) -> None:
    answer = cli_without_database("migrate", "--print", "--json")

    assert json.loads(answer.stdout) == {"schema": "stepwell", "sql": script()}


def test_a_role_without_the_right_is_told_what_helps(empty: str, limited_role: str) -> None:
    answer = run("migrate", "--database", make_conninfo(empty, options=f"-c role={limited_role}"))

    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr.startswith("Error: this role may not change the schema (permission denied for database ")
    assert answer.stderr.endswith(
        "; run `stepwell migrate` as the owner, or hand `stepwell migrate --print` to your DBA\n"
    )
