"""Transactions that a step shares with the engine: the user's writes and the checkpoint commit as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from stepwell.core.model import NewCheckpoint, SessionId
from stepwell.errors import DatabaseUnavailable, LeaseLost, StepTimeout
from stepwell.store import binary
from stepwell.store.asis import Binary, as_they_are
from stepwell.store.base import Transaction
from stepwell.store.connect import unavailable, without_settings
from stepwell.store.statements import statement

MAX_CONNECTIONS = 8  # each kind: a transaction holds one only while its function runs
CANCEL_SECONDS = 5.0  # for the server to be told that a statement is no longer wanted
WAIT_SECONDS = 5.0  # for a connection, then the database counts as unavailable; a stopping process may have to wait too


class Transactions:
    """The connections for `step.transaction`, opened when first needed, without the engine's planner settings.

    A connection is tried before it is lent: after a restart of the server all of them are stale, and a step that was
    given one would lose an attempt. The function runs inside a transaction block of psycopg's: its own blocks are
    savepoints in it, and a `commit()` of its own, which would part its writes from the checkpoint, is refused.
    """

    def __init__(self, schema: str, url: str) -> None:
        self._schema, self._url = schema, url
        self._async_pool: AsyncConnectionPool[Any] | None = None
        self._sync_pool: ConnectionPool[Any] | None = None
        self._opening = asyncio.Lock()
        self._sync_slots = asyncio.Semaphore(MAX_CONNECTIONS)

    def open(self, session: SessionId, *, is_async: bool) -> AbstractAsyncContextManager[Transaction]:
        return self._open_async(session) if is_async else self._open_sync(session)

    async def close(self) -> None:
        if self._async_pool is not None:
            await self._async_pool.close()
        if self._sync_pool is not None:
            await asyncio.to_thread(self._sync_pool.close)
        self._async_pool = self._sync_pool = None

    @asynccontextmanager
    async def _open_async(self, session: SessionId) -> AsyncIterator[Transaction]:
        pool = await self._asynchronous()
        with _reaching():
            connection = await pool.getconn(WAIT_SECONDS)
        block = AsyncExitStack()
        try:
            with _reaching():
                await block.enter_async_context(connection.transaction())
            yield _AsyncTransaction(connection, block, session, self._schema)
        finally:
            await _shielded(_put_back(pool, connection, block))

    @asynccontextmanager
    async def _open_sync(self, session: SessionId) -> AsyncIterator[Transaction]:
        pool = await self._synchronous()
        async with self._slot():
            with _reaching():
                connection = await _taken(pool)
            block, put_back = ExitStack(), _give_up
            try:
                with _reaching():
                    await asyncio.to_thread(block.enter_context, connection.transaction())
                yield _SyncTransaction(connection, block, session, self._schema)
                put_back = _put_back_sync
            except Exception as error:
                if not isinstance(error, StepTimeout):
                    put_back = _put_back_sync  # it was raised by the function, which has ended by that
                raise
            finally:
                await _shielded(asyncio.to_thread(put_back, pool, connection, block))

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Wait here for a connection: threads that wait would be missing where those that commit need one (F34)."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._sync_slots.acquire()
        except TimeoutError:
            raise _none_free() from None
        try:
            yield
        finally:
            self._sync_slots.release()

    async def _asynchronous(self) -> AsyncConnectionPool[Any]:
        async with self._opening:
            if self._async_pool is None:
                pool = AsyncConnectionPool(**self._settings(), check=_made_new, open=False)
                await pool.open()
                self._async_pool = pool
            return self._async_pool

    async def _synchronous(self) -> ConnectionPool[Any]:
        async with self._opening:
            if self._sync_pool is None:
                self._sync_pool = ConnectionPool(**self._settings(), check=_made_new_sync, open=True)
            return self._sync_pool

    def _settings(self) -> dict[str, Any]:
        return {
            "conninfo": without_settings(self._url),
            "kwargs": {"prepare_threshold": None},
            "min_size": 0,
            "max_size": MAX_CONNECTIONS,
        }


async def _made_new(connection: psycopg.AsyncConnection[Any]) -> None:
    """Undo what the last step made of it: settings, temporary tables, locks. Raises when it is dead."""
    connection.row_factory = tuple_row
    await connection.set_autocommit(True)
    await connection.execute("discard all")
    await connection.set_autocommit(False)


def _made_new_sync(connection: psycopg.Connection[Any]) -> None:
    connection.row_factory = tuple_row
    connection.autocommit = True
    connection.execute("discard all")
    connection.autocommit = False


async def _taken(pool: ConnectionPool[Any]) -> psycopg.Connection[Any]:
    """A connection of the pool, which gets it back if the caller is cancelled meanwhile (F35)."""
    taking = asyncio.ensure_future(asyncio.to_thread(pool.getconn, WAIT_SECONDS))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(partial(_put_back_late, pool))
        raise


def _put_back_late(pool: ConnectionPool[Any], taking: asyncio.Future[psycopg.Connection[Any]]) -> None:
    if not taking.cancelled() and taking.exception() is None:
        pool.putconn(taking.result())


@contextmanager
def _reaching() -> Iterator[None]:
    """Before a transaction has begun the database is at fault, not the step."""
    try:
        yield
    except PoolTimeout:
        raise _none_free() from None
    except psycopg.OperationalError as error:
        raise unavailable(error) from error


def _none_free() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"no connection for a transaction within {WAIT_SECONDS:g} s: all {MAX_CONNECTIONS} are in use,"
        " or the database cannot be reached"
    )


async def _shielded(work: Awaitable[None]) -> None:
    """A cancelled step must not leak its connection (F34, F35)."""
    await asyncio.shield(asyncio.ensure_future(work))


async def _put_back(
    pool: AsyncConnectionPool[Any], connection: psycopg.AsyncConnection[Any], block: AsyncExitStack
) -> None:
    """Roll back what was not committed. A block that was left has nothing to be rolled back."""
    await block.__aexit__(psycopg.Rollback, psycopg.Rollback(), None)
    await pool.putconn(connection)


def _put_back_sync(pool: ConnectionPool[Any], connection: psycopg.Connection[Any], block: ExitStack) -> None:
    block.__exit__(psycopg.Rollback, psycopg.Rollback(), None)
    pool.putconn(connection)


def _give_up(pool: ConnectionPool[Any], connection: psycopg.Connection[Any], block: ExitStack) -> None:
    """Close it: a function that was cut goes on in its thread, and nobody else may be given what it writes to."""
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=CANCEL_SECONDS)
    with connection.lock:  # closed in the middle of a statement, its thread would wait for ever
        connection.close()
    _put_back_sync(pool, connection, block)


def _parameters(session: SessionId, checkpoint: NewCheckpoint) -> list[Binary | None]:
    """For `record.sql`."""
    digest = binary.int4(checkpoint.digest)
    key, kind = checkpoint.key.encode(), checkpoint.kind.encode()
    return as_they_are((session.bytes, checkpoint.execution_id.bytes, key, kind, digest, checkpoint.value))


class _AsyncTransaction:
    def __init__(
        self, connection: psycopg.AsyncConnection[Any], block: AsyncExitStack, session: SessionId, schema: str
    ) -> None:
        self.connection, self._block, self._session, self._schema = connection, block, session, schema

    async def commit(self, checkpoint: NewCheckpoint) -> None:
        try:
            cursor = psycopg.AsyncRawCursor(self.connection)
            text = statement("record", self._schema).text
            await cursor.execute(text, _parameters(self._session, checkpoint))
            if not cursor.rowcount:
                raise LeaseLost("this worker's session has ended")
            await self._block.aclose()
        except psycopg.OperationalError as error:
            raise _lost_or_refused(self.connection, error) from error


class _SyncTransaction:
    def __init__(self, connection: psycopg.Connection[Any], block: ExitStack, session: SessionId, schema: str) -> None:
        self.connection, self._block, self._session, self._schema = connection, block, session, schema

    async def commit(self, checkpoint: NewCheckpoint) -> None:
        await asyncio.to_thread(self._commit, checkpoint)

    def _commit(self, checkpoint: NewCheckpoint) -> None:
        try:
            cursor = psycopg.RawCursor(self.connection)
            cursor.execute(statement("record", self._schema).text, _parameters(self._session, checkpoint))
            if not cursor.rowcount:
                raise LeaseLost("this worker's session has ended")
            self._block.close()
        except psycopg.OperationalError as error:
            raise _lost_or_refused(self.connection, error) from error


def _lost_or_refused(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], error: psycopg.OperationalError
) -> Exception:
    """Only a lost connection leaves open what has become of a commit; a serialization failure is the step's own."""
    return unavailable(error) if connection.closed else error
