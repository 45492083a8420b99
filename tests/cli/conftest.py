"""The commands, run in this process on a real database and in an empty folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stepwell.cli.main import commands

Cli = Callable[..., Result]
TABLES = (
    *("worker", "execution", "checkpoint", "attempt", "schedule", "trigger", "dispatch"),
    *("event", "topic", "wait", "outbox", "audit", "hook", "delivery", "token"),
)


@pytest.fixture(scope="module")
def shared_database_url(admin: psycopg.Connection[Any], server_url: str, template: str) -> Iterator[str]:
    """A database for the tests of one file: making one takes longer than what most of them do with it."""
    name = f"test_cli_{uuid4().hex}"
    admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
    yield make_conninfo(server_url, dbname=name)
    admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """A migrated database in which nothing is."""
    with psycopg.connect(shared_database_url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("delete from stepwell.{}").format(sql.Identifier(table)))
    return shared_database_url


@pytest.fixture
def limited_role(admin: psycopg.Connection[Any]) -> Iterator[str]:
    """A role without any right; a connection takes it with `options=-c role=...`."""
    name = f"test_cli_{uuid4().hex}"
    admin.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what commands change in this process for good is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "flows", raising=False)  # an example's, if its tests have run in this process
    root = logging.getLogger()
    handlers, level = root.handlers.copy(), root.level
    yield tmp_path
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, module in tuple(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def cli(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`stepwell ...` on a fresh database."""
    monkeypatch.setenv("STEPWELL_DATABASE_URL", database_url)
    monkeypatch.setenv("STEPWELL_SCHEMA", "stepwell")  # both are restored, whatever a command sets
    return run


@pytest.fixture
def cli_without_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`stepwell ...` where nothing listens."""
    monkeypatch.setenv("STEPWELL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("STEPWELL_SCHEMA", "stepwell")
    return run


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(commands, arguments, input=stdin)
