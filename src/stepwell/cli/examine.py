"""What the doctor looks at. It changes nothing: all reading is done in one read-only transaction."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from stepwell.app import settings
from stepwell.cli import diagnosis
from stepwell.cli.diagnosis import (
    Backlog,
    Disk,
    Finding,
    Installation,
    RefusedConnection,
    Role,
    Server,
    State,
    Stranded,
    Table,
    Undecided,
    Work,
)
from stepwell.cli.exits import sentence_of
from stepwell.cli.options import Target
from stepwell.errors import DatabaseNotReady, StepwellError
from stepwell.store.connect import checked_conninfo, find_route, without_settings
from stepwell.store.embedded import find_binaries
from stepwell.store.migrate import check_version
from stepwell.store.statements import in_schema

TIMEOUT = "10s"  # for each question: a database in trouble gets no more of it

Connection = psycopg.Connection[Any]


def examine(target: Target) -> Iterator[Finding]:
    """One finding after the other, as far as it gets."""
    yield from diagnosis.of_installation(_installation())
    try:
        yield from _of_database(target)
    except StepwellError as error:
        yield Finding("database", State.FAIL, sentence_of(error))
    except psycopg.Error as error:
        message = " ".join(str(error).split())
        yield Finding("database", State.FAIL, f"the server refused a question: {message}", "see the server's log")


def _installation() -> Installation:
    return Installation(
        python=".".join(map(str, sys.version_info[:3])),
        stepwell=metadata.version("stepwell"),
        psycopg=psycopg.__version__,
        driver=psycopg.pq.__impl__,
        has_uvloop=find_spec("uvloop") is not None,
    )


def _of_database(target: Target) -> Iterator[Finding]:
    url, schema = settings.database_url(target.url), target.schema_name
    if url is None:
        folder = settings.embedded_folder()
        if not (folder / "data").exists():
            version = find_binaries().version
            fact = f"embedded: none in {folder} yet; the first command that needs one makes it, of PostgreSQL {version}"
            yield Finding("database", State.OK, fact)
            return
        yield Finding("database", State.OK, f"embedded, in {folder}")
        yield diagnosis.of_disk(_disk(folder))
    else:
        yield Finding("database", State.OK, _without_secrets(url))
    with target.running() as running:
        yield from _of_running(running, schema)


def _of_running(url: str, schema: str) -> Iterator[Finding]:
    yield diagnosis.of_pooling(is_pooled=find_route(url).is_pooled)
    plain = without_settings(url)  # the engine's own would hide what the server is set to
    with psycopg.connect(plain, prepare_threshold=None) as connection:
        connection.read_only = True
        connection.execute(f"set local statement_timeout = '{TIMEOUT}'")
        server = _server(connection)
        yield from diagnosis.of_server(server)
        role = _role(connection, schema)
        yield diagnosis.of_role(role)
        if role.lacking:
            return
        problem = _problem(plain, schema)
        yield diagnosis.of_schema(schema, problem)
        if problem is None:
            yield from diagnosis.of_work(_work(connection, schema), has_autovacuum=server.has_autovacuum)


def _problem(conninfo: str, schema: str) -> str | None:
    try:
        check_version(conninfo, schema)
    except DatabaseNotReady as error:
        return str(error)
    return None


def _server(connection: Connection) -> Server:
    asked_at = datetime.now(UTC)
    (row,) = _rows(connection, "server")
    halfway = asked_at + (datetime.now(UTC) - asked_at) / 2
    number, version, encoding, fsync, full_pages, commit, autovacuum, now = row
    return Server(
        version_number=number,
        version=version,
        encoding=encoding,
        has_fsync=fsync,
        has_full_page_writes=full_pages,
        synchronous_commit=commit,
        has_autovacuum=autovacuum,
        ahead_for=now - halfway,
    )


def _role(connection: Connection, schema: str) -> Role:
    ((name, may_look, may_change),) = _rows(connection, "role", schema)
    if not may_look:
        return Role(name, may_change_schema=may_change, lacking=(f"usage on schema {schema}",))
    lacking = tuple(right for (right,) in _rows(connection, "lacking", schema))
    return Role(name, may_change_schema=may_change, lacking=lacking)


def _work(connection: Connection, schema: str) -> Work:
    ((live, expired),) = _rows(connection, "workers", schema)
    ((late_for,),) = _rows(connection, "late", schema)
    ((oldest_transaction_for,),) = _rows(connection, "oldest_transaction", schema)
    return Work(
        live_workers=live,
        expired_workers=expired,
        stranded=[Stranded(*row) for row in _rows(connection, "stranded", schema)],
        late_for=late_for,
        oldest_transaction_for=oldest_transaction_for,
        tables=[Table(*row) for row in _rows(connection, "tables", schema)],
        backlog=Backlog(*_rows(connection, "backlog", schema)[0]),
        undecided=[Undecided(*row) for row in _rows(connection, "undecided", schema)],
        refused=[RefusedConnection(*row) for row in _rows(connection, "refused", schema)],
    )


def _rows(connection: Connection, name: str, schema: str = "stepwell") -> list[tuple[Any, ...]]:
    text = files("stepwell.cli").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return connection.execute(in_schema(text, schema).encode()).fetchall()


def _without_secrets(url: str) -> str:
    parts = checked_conninfo(url)
    where = parts.get("host") or parts.get("hostaddr") or parts.get("service") or "the local socket"
    return f"{parts.get('dbname', 'the default database')} at {where}, port {parts.get('port', 5432)}"


def _disk(folder: Path) -> Disk:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # files come and go while the server runs
                size += os.lstat(os.path.join(place, name)).st_size
    return Disk(str(folder), size, shutil.disk_usage(folder).free)
