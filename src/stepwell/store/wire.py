"""One pinned connection that carries one statement at a time: prepared once, binary both ways.

It drives libpq directly (psycopg.pq) instead of going through a cursor, because it sits in every step's way: a round
trip costs 35 us of Python instead of 104 us, and a lone workflow's step is 0.07 ms shorter.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from stepwell.errors import DatabaseNotReady, DatabaseUnavailable
from stepwell.store.connect import Route, unavailable
from stepwell.store.statements import Statement

PATIENCE_SECONDS = 60.0  # the kernel gives up a peer that is gone within 10 s; one that only takes bytes, never
_BINARY = 1
_NO_SCHEMA = ("3F000", "42P01", "42703")  # no such schema, table, column
_SERVER_GONE = ("57P01", "57P02", "57P03", "25006", "53300")  # shut down, crashed, starting, read-only now, full

Row = tuple[Any, ...]
Rows = list[Row]


class _Call(NamedTuple):
    statement: Statement
    parameters: Sequence[bytes | None]
    answer: asyncio.Future[Rows]


class Wire:
    """A connection for statements of ours. `run` may be called by many tasks: statements go one after the other.

    A caller that is cancelled leaves its statement running; the next ones wait for it. Once broken it stays broken, as
    it is when no answer has come for so long as `patience_seconds`: who swallows statements says nothing of it (F42).
    """

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], *, is_pooled: bool, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._patience_seconds = patience_seconds
        self._watch: asyncio.TimerHandle | None = None
        self._connection = connection
        self._libpq = connection.pgconn
        self.is_pooled = is_pooled
        self._reader = Transformer()  # without the connection, whose time zone would be that of the times (F76)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Call] = deque()
        self._current: _Call | None = None
        self._is_preparing = False
        self._prepared: set[bytes] = set()
        self._result: pq.abc.PGresult | None = None
        self._is_writing = False
        self.on_hint: Callable[[str], None] | None = None
        self.broken: DatabaseUnavailable | None = None
        self._libpq.nonblocking = 1
        self._socket = self._libpq.socket
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none, and no uvloop
        if self._poll is not None:
            self._poll.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def connect(cls, route: Route, *, patience_seconds: float = PATIENCE_SECONDS) -> Wire:
        """Connect. Raises DatabaseUnavailable."""
        try:
            connection = await psycopg.AsyncConnection.connect(route.conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise unavailable(error) from error
        return cls(connection, is_pooled=route.is_pooled, patience_seconds=patience_seconds)

    async def run(self, statement: Statement, *parameters: bytes | None) -> Rows:
        """The rows of one statement.

        Raises DatabaseUnavailable when the connection is lost: the outcome is then unknown. Any other error of the
        server is raised as psycopg's, or as DatabaseNotReady: the statement then changed nothing.
        """
        if self.broken is not None:
            raise self.broken
        answer: asyncio.Future[Rows] = self._loop.create_future()
        self._waiting.append(_Call(statement, parameters, answer))
        if self._current is None:
            self._send_next()
        return await answer

    def close(self) -> None:
        """Give the connection back. What is under way fails as DatabaseUnavailable."""
        self._break(DatabaseUnavailable("the connection was closed"))

    def _send_next(self) -> None:
        self._current = call = self._waiting.popleft() if self._waiting else None
        if call is None:
            return
        self._watch = self._loop.call_later(self._patience_seconds, self._lose_patience, call)
        statement = call.statement
        self._is_preparing = not self.is_pooled and statement.name not in self._prepared
        try:
            if self.is_pooled:
                formats = [_BINARY] * len(call.parameters)
                self._libpq.send_query_params(statement.text, call.parameters, None, formats, _BINARY)
            elif self._is_preparing:
                self._libpq.send_prepare(statement.name, statement.text)
            else:
                formats = [_BINARY] * len(call.parameters)
                self._libpq.send_query_prepared(statement.name, call.parameters, formats, _BINARY)
            self._flush_out()
        except psycopg.Error as error:
            self._break(unavailable(error))

    def _flush_out(self) -> None:
        """Hand libpq's buffer to the socket; a large batch does not fit at once."""
        try:
            more = self._libpq.flush()
        except psycopg.Error as error:
            self._break(unavailable(error))
            return
        if more and not self._is_writing:
            self._loop.add_writer(self._socket, self._flush_out)
        elif not more and self._is_writing:
            self._loop.remove_writer(self._socket)
        self._is_writing = bool(more)

    def _readable(self) -> None:
        """Take all there is: uvloop calls only once when the server has closed, whatever is left to be read (F27)."""
        try:
            self._take()
            while self.broken is None and self._poll is not None and self._poll.poll(0):
                self._take()
        except psycopg.Error as error:
            self._break(unavailable(error))

    def _take(self) -> None:
        self._libpq.consume_input()
        while self._current is not None and not self._libpq.is_busy():
            result = self._libpq.get_result()
            if result is None:
                self._finish()
            else:
                self._result = result
        # last, because a hint that came behind an answer is only seen once that answer has been taken
        while self.broken is None and (hint := self._libpq.notifies()) is not None:
            if self.on_hint is not None:
                self.on_hint(hint.extra.decode())

    def _finish(self) -> None:
        """The current statement has been answered; start the next."""
        call, result, self._result = self._current, self._result, None
        assert call is not None
        self._stop_watch()
        if result is None or self._libpq.status != pq.ConnStatus.OK:
            self._break(DatabaseUnavailable("the database closed the connection"))
        elif result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            self._fail(call, error_from_result(result, encoding="utf-8"))
        elif self._is_preparing:
            self._prepared.add(call.statement.name)
            self._waiting.appendleft(call)
            self._send_next()
        else:
            if not call.answer.cancelled():
                call.answer.set_result(self._rows(result))
            self._send_next()

    def _rows(self, result: pq.abc.PGresult) -> Rows:
        if not result.ntuples:
            return []
        self._reader.set_pgresult(result, format=pq.Format.BINARY)
        return self._reader.load_rows(0, result.ntuples, tuple)

    def _fail(self, call: _Call, error: psycopg.Error) -> None:
        state = error.sqlstate or ""
        if state in _SERVER_GONE or state.startswith("08"):
            self._break(unavailable(error))
            return
        if not call.answer.cancelled():
            call.answer.set_exception(not_ready(error) if state in _NO_SCHEMA else error)
        self._send_next()

    def _lose_patience(self, call: _Call) -> None:
        """Break, unless the answer is there and only the loop was held up."""
        self._readable()
        if self._current is call and self.broken is None:
            self._break(DatabaseUnavailable(f"the database gave no answer for {self._patience_seconds:.0f} s"))

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _break(self, error: DatabaseUnavailable) -> None:
        if self.broken is not None:
            return
        self.broken = error
        self._stop_watch()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        unanswered = [*([self._current] if self._current else []), *self._waiting]
        self._current = None
        self._waiting.clear()
        for call in unanswered:
            if not call.answer.done():
                call.answer.set_exception(DatabaseUnavailable(*error.args))
        self._libpq.finish()


def not_ready(error: psycopg.Error) -> DatabaseNotReady:
    """The error of a database whose schema is not ours (yet)."""
    return DatabaseNotReady(
        f"the database has no Stepwell schema of this version ({error.diag.message_primary}); run `stepwell migrate`"
    )


class Line:
    """A wire that is replaced when it broke. Each call asks for it anew; a second caller waits for the same attempt."""

    def __init__(
        self,
        route: Callable[[], Awaitable[Route]],
        on_connect: Callable[[Wire], Awaitable[None]] | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._route, self._on_connect, self._patience_seconds = route, on_connect, patience_seconds
        self._wire: Wire | None = None
        self._lock = asyncio.Lock()

    async def wire(self) -> Wire:
        """A connected wire. Raises DatabaseUnavailable."""
        if self._wire is not None and self._wire.broken is None:
            return self._wire
        async with self._lock:
            if self._wire is None or self._wire.broken is not None:
                wire = await Wire.connect(await self._route(), patience_seconds=self._patience_seconds)
                if self._on_connect is not None:
                    await self._on_connect(wire)
                self._wire = wire
            return self._wire

    def close(self) -> None:
        """Give the connection back; a later call connects again."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
