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
from stepwell.store.asis import Binary, BinaryDumper
from stepwell.store.statements import statement


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
    if isinstance(connection, psycopg.Connection):
        return await asyncio.to_thread(create_on_sync, connection, new, schema=schema)
    if not isinstance(connection, psycopg.AsyncConnection):
        raise _not_psycopg(connection)
    parameters = _parameters(new)
    cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    await cursor.execute(statement("create", schema).text, parameters, binary=True)
    return rows.created_of(new, await cursor.fetchall())


def create_on_sync(connection: Any, new: Sequence[NewExecution], *, schema: str) -> Sequence[Created]:
    """The same on a psycopg.Connection, without an event loop."""
    if isinstance(connection, MemoryConnection):
        return connection.create(new)
    if not isinstance(connection, psycopg.Connection):
        raise _not_psycopg(connection)
    parameters = _parameters(new)
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    cursor.execute(statement("create", schema).text, parameters, binary=True)
    return rows.created_of(new, cursor.fetchall())


async def send_on(connection: Any, event: NewEvent, *, schema: str) -> bool:
    """Accept an event when the connection's transaction commits; False: no such execution has this address.

    It then takes its place in its topic, and lets go on who waits for it. Until then nobody waits for the transaction.
    """
    if isinstance(connection, MemoryConnection):
        return connection.send(event)
    if isinstance(connection, psycopg.Connection):
        return await asyncio.to_thread(send_on_sync, connection, event, schema=schema)
    if not isinstance(connection, psycopg.AsyncConnection):
        raise _not_psycopg(connection)
    cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    await cursor.execute(statement("send_later", schema).text, _event_parameters(event), binary=True)
    return bool(await cursor.fetchall())


def send_on_sync(connection: Any, event: NewEvent, *, schema: str) -> bool:
    """The same on a psycopg.Connection, without an event loop."""
    if isinstance(connection, MemoryConnection):
        return connection.send(event)
    if not isinstance(connection, psycopg.Connection):
        raise _not_psycopg(connection)
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    _teach(cursor)
    cursor.execute(statement("send_later", schema).text, _event_parameters(event), binary=True)
    return bool(cursor.fetchall())


def _event_parameters(event: NewEvent) -> list[Binary | None]:
    return [None if given is None else Binary(given) for given in rows.event_parameters(event)]


def _parameters(new: Sequence[NewExecution]) -> list[Binary]:
    return [Binary(parameter) for parameter in rows.create_parameters(new)]


def _teach(cursor: psycopg.RawCursor[Any] | psycopg.AsyncRawCursor[Any]) -> None:
    """A connection that was used before this module was imported, or by a framework, has adapters of its own."""
    cursor.adapters.register_dumper(Binary, BinaryDumper)


def _not_psycopg(connection: object) -> InvalidOption:
    return InvalidOption(
        f"connection is a {type(connection).__module__}.{type(connection).__qualname__}; give a psycopg connection"
        " (SQLAlchemy: session.connection().connection.driver_connection)"
    )
