"""The heartbeat of a session on PostgreSQL: a synchronous connection of its own, for a thread of its own."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from stepwell.core.model import ExecutionId, Reaped, SessionId
from stepwell.store import binary
from stepwell.store.connect import Route, unavailable
from stepwell.store.statements import statement
from stepwell.store.wire import Rows


class PostgresPulse:
    """Keeps the Pulse protocol. A lost connection is replaced by the next call.

    An answer is waited for as long as it is of use, for one lease: who swallows statements says nothing of it (F42).
    """

    def __init__(
        self, route: Route, session: SessionId, *, schema: str, lease_for: timedelta, max_crashes: int
    ) -> None:
        self._route, self._session, self._schema = route, session, schema
        self._lease_seconds, self._max_crashes = lease_for.total_seconds(), max_crashes
        self._connection: psycopg.Connection[Any] | None = None
        self._reader = Transformer()

    def beat(self) -> frozenset[ExecutionId] | None:
        found = self._run("beat", self._session.bytes, binary.float8(self._lease_seconds))
        told = found[0][0] if found else None
        return frozenset(told) if told is not None else None

    def reap(self) -> Reaped:
        sessions, freed, failed, _ = self._run("reap", binary.int4(self._max_crashes))[0]
        return Reaped(sessions, freed, tuple(ExecutionId(identity) for identity in failed))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, name: str, *parameters: bytes) -> Rows:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._route.conninfo, autocommit=True, prepare_threshold=None)
            text = statement(name, self._schema).text
            result = _answer(self._connection.pgconn, text, parameters, patience_seconds=self._lease_seconds)
            self._reader.set_pgresult(result, format=pq.Format.BINARY)
            return self._reader.load_rows(0, result.ntuples, tuple)
        except psycopg.Error as error:  # whatever it is, such as a server that only reads now: the heart must go on
            self.close()
            raise unavailable(error) from error


def _answer(
    libpq: pq.abc.PGconn, text: bytes, parameters: Sequence[bytes], *, patience_seconds: float
) -> pq.abc.PGresult:
    """The result of one statement: $1 and not %s, binary both ways. Raises psycopg.Error, also when none comes."""
    libpq.send_query_params(text, parameters, None, [pq.Format.BINARY] * len(parameters), pq.Format.BINARY)
    ends_at = time.monotonic() + patience_seconds
    answer: pq.abc.PGresult | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(libpq.socket, selectors.EVENT_READ)
        while True:
            while libpq.is_busy():
                left = ends_at - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise psycopg.OperationalError(f"no answer for {patience_seconds:.1f} s")
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:
                break
            answer = result
    if answer is None:
        raise psycopg.OperationalError("the server closed the connection")
    if answer.status != pq.ExecStatus.TUPLES_OK:
        raise error_from_result(answer, encoding="utf-8")
    return answer
