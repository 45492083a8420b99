"""What is stored is data: nothing of it is ever run, imported by its name or unpickled.

The security table: stored pickle, supply and process.
"""

from __future__ import annotations

import ast
import asyncio
import pickle
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import stepwell
from stepwell import App, Step, StepwellError

PACKAGE = Path(stepwell.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

RUN_DATA = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "code", "runpy"}
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
IMPORT_BY_NAME = {  # and where the names come from
    "__init__.py": "a table of names",
    "cli/flows.py": "the command line",
    "cli/main.py": "a table of commands",
    "connectors/__init__.py": "a table of connectors",
    "testing/__init__.py": "a table of names",
    "testing/plugin.py": "an option of pytest",
    "testing/vendors/__init__.py": "a table of fakes",
}


def called(tree: ast.AST) -> Iterator[str]:
    """The names of functions that are called, methods by their last part."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="importlib"), attr=name)):
                yield name


def imported(tree: ast.AST) -> Iterator[str]:
    """The first parts of the names of modules."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_module_can_run_no_data(module: Path) -> None:
    tree = ast.parse(module.read_text())

    assert not RUN_DATA & set(imported(tree))
    assert not RUN_TEXT & set(called(tree))
    is_named = module.relative_to(PACKAGE).as_posix() in IMPORT_BY_NAME
    assert ("import_module" in set(called(tree))) == is_named


class Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._mark,)


def test_planted_pickle_would_be_noticed(tmp_path: Path) -> None:
    """The negative control."""
    pickle.loads(pickle.dumps(Planted(tmp_path / "mark")))

    assert (tmp_path / "mark").exists()


async def test_pickle_in_every_column_is_never_run(database_url: str, tmp_path: Path) -> None:
    """By whoever can write the tables: readers get an error of ours, or bytes."""
    app, planted = App(database_url), pickle.dumps(Planted(tmp_path / "mark"))

    @app.workflow
    async def flow(value: int, step: Step) -> Any:
        await step.run("double", lambda: 2 * value)
        return await step.wait_for_event("go", timeout="1d")

    async with app, asyncio.timeout(30):
        handle = await app.start(flow, 1)
        async with app.worker():
            while not await app.waits(execution_id=handle.id):
                pass
        await app.send_event("go", {"n": 1}, to=handle.id)
        await app.send_event("stay", {"n": 1})
        assert plant(database_url, planted) >= 3
        async with app.worker():
            while "is not JSON" not in ((await app.get(handle.id)).why or ""):  # parked, and says so
                pass
        for read in readers(app, handle):
            with suppress(StepwellError):
                await read()

    assert not (tmp_path / "mark").exists()


def plant(database_url: str, value: bytes) -> int:
    """Overwrite every binary column of every table; in how many a row was changed."""
    planted = 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        columns = connection.execute(
            "select c.table_name, c.column_name from information_schema.columns c join information_schema.tables t"
            " using (table_schema, table_name) where c.table_schema = 'stepwell' and c.data_type = 'bytea'"
            " and t.table_type = 'BASE TABLE' and c.table_name not in ('token')"
        ).fetchall()
        for table, column in columns:
            statement = sql.SQL("update stepwell.{} set {} = %s where {} is not null")
            named = statement.format(*(sql.Identifier(name) for name in (table, column, column)))
            planted += connection.execute(named, [value]).rowcount > 0
    return planted


def readers(app: App, handle: Any) -> list[Callable[[], Awaitable[object]]]:
    """Everything that reads what is stored."""
    return [
        lambda: app.get(handle.id),
        app.list,
        lambda: app.steps(handle.id),
        app.events,
        app.deliveries,
        lambda: app.callbacks(handle.id),
        lambda: app.audit(handle.id),
        handle.status,
    ]
