"""Numbered migrations: forward only, each applied once, whoever comes first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from stepwell.errors import DatabaseNotReady, DatabaseUnavailable
from stepwell.failpoints import failpoint
from stepwell.store.connect import unavailable, without_settings
from stepwell.store.statements import DEFAULT_SCHEMA, checked_schema, in_schema, statement

LOCK_TIMEOUT = "5s"  # a migration that would wait longer for a table would block everybody behind it

_FILE_NAME = re.compile(r"(\d{4})_(?:expand|contract)_\w+\.sql")

_SCHEMA = "create schema if not exists stepwell;\n"

_BOOKKEEPING = """
comment on schema stepwell is 'Stepwell: durable execution.';
create table if not exists stepwell.migration (
    number     integer     primary key,
    name       text        not null,
    checksum   text        not null,
    applied_at timestamptz not null default now()
);
comment on table  stepwell.migration is 'Which migrations have been applied.';
comment on column stepwell.migration.number is 'Their order.';
comment on column stepwell.migration.name is 'The file. "expand" keeps older code working, "contract" does not.';
comment on column stepwell.migration.checksum is 'SHA-256 of the file: an applied migration never changes.';
comment on column stepwell.migration.applied_at is 'When.';
"""


class Migration(NamedTuple):
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations of this version, in order."""
    found = []
    for file in files("stepwell.store").joinpath("migrations").iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), file.name, text))
    return sorted(found)


def script(*, schema: str = DEFAULT_SCHEMA) -> str:
    """Everything `migrate` would do to an empty database, as SQL for a DBA."""
    parts = [in_schema(_SCHEMA + _BOOKKEEPING, checked_schema(schema))]
    for migration in migrations():
        parts.append(f"-- {migration.name}\n{in_schema(migration.sql, schema)}")
        parts.append(
            f"insert into {schema}.migration (number, name, checksum)"  # noqa: S608 - a checked name and our own files
            f" values ({migration.number}, '{migration.name}', '{migration.checksum}');\n"
        )
    return "begin;\n" + "\n".join(parts) + "\ncommit;\n"


def migrate(url: str, *, schema: str = DEFAULT_SCHEMA) -> list[str]:
    """Bring the database to this version; the names of what was applied, none when it is there already.

    Safe when many processes start at once: one transaction under an advisory lock that ends with it, so a process
    killed in the middle leaves neither half a schema nor a lock. Raises DatabaseUnavailable, DatabaseNotReady.
    """
    checked_schema(schema)
    try:
        with psycopg.connect(without_settings(url)) as connection:
            if not _pending(_applied(connection, schema)):
                return []
            return _apply(connection, schema)
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseNotReady(
            f"this role may not change the schema ({error.diag.message_primary});"
            " run `stepwell migrate` as the owner, or hand `stepwell migrate --print` to your DBA"
        ) from error
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseUnavailable("a table is locked by somebody else; nothing was changed, try again") from error
    except psycopg.OperationalError as error:
        raise unavailable(error) from error


def _apply(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    # without a time limit: whoever comes second waits until the first, however long it takes, has done it all
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"stepwell migration {schema}"])
    connection.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT))
    if not _is_there(connection, schema):  # even "if not exists" asks for the right to create one
        connection.execute(_statements(_SCHEMA, schema))
    connection.execute(_statements(_BOOKKEEPING, schema))
    names = []
    for migration in _pending(_applied(connection, schema)):
        connection.execute(_statements(migration.sql, schema))
        failpoint("in_migration")
        psycopg.RawCursor(connection).execute(
            statement("migrated", schema).text, [migration.number, migration.name, migration.checksum]
        )
        names.append(migration.name)
    connection.commit()
    return names


def check_version(conninfo: str, schema: str) -> None:
    """Raise DatabaseNotReady unless the database has all of this version's migrations and no newer contract one."""
    try:
        with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
            missing = _pending(_applied(connection, schema))
    except psycopg.OperationalError as error:
        raise unavailable(error) from error
    if missing:
        raise DatabaseNotReady(
            f"the database lacks {len(missing)} migration(s), the first is {missing[0].name}; run `stepwell migrate`"
        )


def _pending(applied: dict[int, tuple[str, str]]) -> Sequence[Migration]:
    """What is still to be applied. Raises DatabaseNotReady when the database is not one this code can work with."""
    ours = migrations()
    for migration in ours:
        name, checksum = applied.get(migration.number, (migration.name, migration.checksum))
        if checksum != migration.checksum:
            raise DatabaseNotReady(f"migration {name} was applied in another form than this version has it")
    newer = [name for number, (name, _) in sorted(applied.items()) if number > ours[-1].number]
    if contract := next((name for name in newer if "_contract_" in name), None):
        raise DatabaseNotReady(f"the database is newer than this code ({contract} was applied); upgrade stepwell")
    return [migration for migration in ours if migration.number not in applied]


def _is_there(connection: psycopg.Connection[Any], schema: str) -> bool:
    row = connection.execute("select to_regnamespace(%s) is not null", [schema]).fetchone()
    return row is not None and bool(row[0])


def _applied(connection: psycopg.Connection[Any], schema: str) -> dict[int, tuple[str, str]]:
    row = connection.execute("select to_regclass(%s) is not null", [f"{schema}.migration"]).fetchone()
    if row is None or not row[0]:
        return {}
    rows = connection.execute(statement("migrations", schema).text).fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _statements(text: str, schema: str) -> bytes:
    return in_schema(text, schema).encode()
