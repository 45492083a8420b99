"""The commands, run in this process on a real database and in an empty folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import commands

Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; modules imported from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path
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
