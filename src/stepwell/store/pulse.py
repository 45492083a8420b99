"""The heartbeat of a session on PostgreSQL: a synchronous connection of its own, for a thread of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from stepwell.core.model import ExecutionId, Reaped, SessionId
from stepwell.store import binary
from stepwell.store.connect import Route, unavailable
from stepwell.store.statements import statement


class PostgresPulse:
    """Keeps the Pulse protocol. A lost connection is replaced by the next call."""

    def __init__(
        self, route: Route, session: SessionId, *, schema: str, lease_for: timedelta, max_crashes: int
    ) -> None:
        self._route, self._session, self._schema = route, session, schema
        self._lease_seconds, self._max_crashes = lease_for.total_seconds(), max_crashes
        self._connection: psycopg.Connection[Any] | None = None

    def beat(self) -> frozenset[ExecutionId] | None:
        found = self._run("beat", self._session.bytes, binary.float8(self._lease_seconds))
        return frozenset(found[0][0]) if found else None

    def reap(self) -> Reaped:
        sessions, freed, failed, _ = self._run("reap", binary.int4(self._max_crashes))[0]
        return Reaped(sessions, freed, tuple(ExecutionId(identity) for identity in failed))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, name: str, *parameters: bytes) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._route.conninfo, autocommit=True, prepare_threshold=None)
            return _execute(self._connection, statement(name, self._schema).text, parameters)
        except psycopg.Error as error:  # whatever it is, such as a server that only reads now: the heart must go on
            self.close()
            raise unavailable(error) from error


def _execute(connection: psycopg.Connection[Any], text: bytes, parameters: tuple[bytes, ...]) -> list[tuple[Any, ...]]:
    """Our statements say $1 where psycopg says %s: they go to the server as they are, through a raw cursor."""
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(text, [Binary(parameter) for parameter in parameters], binary=True)
        return cursor.fetchall()


class Binary:
    """A parameter already in PostgreSQL's binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class BinaryDumper(psycopg.adapt.Dumper):
    """Hands a Binary on as it is."""

    format = psycopg.pq.Format.BINARY

    def dump(self, value: Binary) -> bytes:
        return value.data


psycopg.adapters.register_dumper(Binary, BinaryDumper)
