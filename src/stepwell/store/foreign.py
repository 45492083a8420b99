"""Accepting executions and events on the caller's connection, so that they commit with the caller's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import psycopg
from psycopg.rows import tuple_row

from stepwell.core.model import Created, NewEvent, NewExecution
from stepwell.errors import InvalidOption
from stepwell.store import rows
from stepwell.store.asis import Binary, BinaryDumper, as_they_are
from stepwell.store.statements import statement
from stepwell.store.wire import Row


class MemoryConnection:
    """What a store in memory gives to a step's transaction in the place of a connection: it takes starts and events."""

    def __init__(
        self, *, create: Callable[[Sequence[NewExecution]], Sequence[Created]], send: Callable[[NewEvent], bool]
    ) -> None:
        self.create, self.send = create, send

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"this store is in memory, its transactions have no connection with '{name}'; in a test, fake the step"
        )


async def create_on(connection: Any, new: Sequence[NewExecution], *, schema: str) -> Sequence[Created]:
    """As Store.create, inside the connection's transaction. Raises InvalidOption unless it is a psycopg connection."""
    if isinstance(connection, MemoryConnection):
        return connection.create(new)
    return rows.created_of(new, await _run(connection, "create", rows.create_parameters(new), schema=schema))


def create_on_sync(connection: Any, new: Sequence[NewExecution], *, schema: str) -> Sequence[Created]:
    """The same on a psycopg.Connection, without an event loop."""
    if isinstance(connection, MemoryConnection):
        return connection.create(new)
    return rows.created_of(new, _run_sync(connection, "create", rows.create_parameters(new), schema=schema))


async def send_on(connection: Any, event: NewEvent, *, schema: str) -> bool:
    """Accept an event when the connection's transaction commits; False: no such execution has this address.

    It then takes its place in its topic, and lets go on who waits for it. Until then nobody waits for the transaction.
    """
    if isinstance(connection, MemoryConnection):
        return connection.send(event)
    return bool(await _run(connection, "send_later", rows.event_parameters(event), schema=schema))


def send_on_sync(connection: Any, event: NewEvent, *, schema: str) -> bool:
    """The same on a psycopg.Connection, without an event loop."""
    if isinstance(connection, MemoryConnection):
        return connection.send(event)
    return bool(_run_sync(connection, "send_later", rows.event_parameters(event), schema=schema))


async def _run(connection: object, name: str, parameters: Sequence[bytes | None], *, schema: str) -> Sequence[Row]:
    if isinstance(connection, psycopg.Connection):
        return await asyncio.to_thread(_run_sync, connection, name, parameters, schema=schema)
    if not isinstance(connection, psycopg.AsyncConnection):
        raise _not_psycopg(connection)
    cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    await cursor.execute(statement(name, schema).text, as_they_are(parameters), binary=True)
    return await cursor.fetchall()


def _run_sync(connection: object, name: str, parameters: Sequence[bytes | None], *, schema: str) -> Sequence[Row]:
    if not isinstance(connection, psycopg.Connection):
        raise _not_psycopg(connection)
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    cursor.execute(statement(name, schema).text, as_they_are(parameters), binary=True)
    return cursor.fetchall()


def _teach(cursor: psycopg.RawCursor[Any] | psycopg.AsyncRawCursor[Any]) -> None:
    """A connection that was used before this module was imported, or by a framework, has adapters of its own."""
    cursor.adapters.register_dumper(Binary, BinaryDumper)


def _not_psycopg(connection: object) -> InvalidOption:
    return InvalidOption(
        f"connection is a {type(connection).__module__}.{type(connection).__qualname__}; give a psycopg connection"
        " (SQLAlchemy: session.connection().connection.driver_connection)"
    )
