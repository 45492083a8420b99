"""Group commit: what arrives while one flush is under way is the next flush.

There is no timer. An idle process flushes at once; a busy one collects while it flushes, so that the number of commits
falls as the load rises and a lone workflow waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any

import psycopg

from stepwell.core.model import Batch, Ending, ExecutionId, FailedAttempt, NewCheckpoint, NewChild, SessionId
from stepwell.errors import DatabaseUnavailable, InvalidValue, LeaseLost
from stepwell.store.base import Store
from stepwell.store.connect import is_passing

log = logging.getLogger("stepwell.worker")

MAX_ROWS = 4_000  # of one kind in one flush: a statement stays under a tenth of a second
MAX_BYTES = 16_000_000  # of values in one flush; one message of the protocol holds 1 GB

MAX_TRIES = 20
PAUSE_SECONDS = 0.1  # and one more of it after each try: about 20 s in all, while the heartbeat keeps the lease

_Row = NewCheckpoint | FailedAttempt | Ending | NewChild


class GroupCommit:
    """Stores what one worker session produces.

    Each method returns a future that is done when the row is durable. It raises LeaseLost when the session has ended,
    or when the outcome is unknown because the connection was lost: the session is then given up, nothing is guessed.
    """

    def __init__(
        self,
        store: Store,
        session: SessionId,
        *,
        on_lost: Callable[[Exception], None],
        on_cancelling: Callable[[Iterable[ExecutionId]], None],
    ) -> None:
        self._store, self._session = store, session
        self._on_lost, self._on_cancelling = on_lost, on_cancelling
        self._loop = asyncio.get_running_loop()
        self._rows: list[tuple[_Row, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._lost: LeaseLost | None = None

    def add(self, row: _Row) -> asyncio.Future[None]:
        """Put a row into the next flush."""
        done: asyncio.Future[None] = self._loop.create_future()
        if self._lost is not None:
            done.set_exception(self._lost)
            return done
        self._rows.append((row, done))
        if self._flushing is None:
            self._flushing = self._loop.create_task(self._flush_all(), name="stepwell-flush", context=Context())
        return done

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])

    def give_up(self, error: Exception) -> None:
        """The session has ended: everything under way and to come raises LeaseLost."""
        if self._lost is not None:
            return
        self._lost = LeaseLost(str(error))
        rows, self._rows = self._rows, []
        _fail(rows, self._lost)
        self._on_lost(error)

    async def _flush_all(self) -> None:
        try:
            while self._rows and self._lost is None:
                size = _size(self._rows)
                rows, self._rows = self._rows[:size], self._rows[size:]
                try:
                    await self._flush(rows)
                except Exception as error:
                    if not isinstance(error, LeaseLost | DatabaseUnavailable):
                        log.exception("a flush ended with an error of the engine")
                    self.give_up(error)
                    _fail(rows, LeaseLost(str(error)))
                await asyncio.sleep(0)  # whoever waited goes on now, and what they add next needs no task of its own
        finally:
            self._flushing = None

    async def _flush(self, rows: list[tuple[_Row, asyncio.Future[None]]], tries: int = 0) -> None:
        try:
            flushed = await self._store.flush(self._session, _batch(row for row, _ in rows))
        except psycopg.Error as error:
            if is_passing(error) and tries < MAX_TRIES:
                await asyncio.sleep(PAUSE_SECONDS * (tries + 1))
                await self._flush(rows, tries + 1)
            else:
                await self._isolate(rows, error)
            return
        if flushed.cancelling:
            self._on_cancelling(flushed.cancelling)
        for row, done in rows:
            if done.done():
                continue
            if flushed.refused and row.execution_id in flushed.refused:
                done.set_exception(LeaseLost("this worker no longer owns the execution"))
            else:
                done.set_result(None)

    async def _isolate(self, rows: list[tuple[_Row, asyncio.Future[None]]], error: psycopg.Error) -> None:
        """The database refused something in the batch: halve it until only the culprit gets the error (F7)."""
        if len(rows) == 1:
            if is_passing(error):
                raise DatabaseUnavailable(f"the database does not take a write: {error}") from error
            _fail(rows, InvalidValue(path="$", reason=f"is refused by the database: {error}"))
            return
        middle = len(rows) // 2
        await self._flush(rows[:middle])
        await self._flush(rows[middle:])


def _size(rows: Sequence[tuple[_Row, asyncio.Future[None]]]) -> int:
    """How many rows the next flush takes: bounded by number and by bytes."""
    total = 0
    for index, (row, _) in enumerate(rows[:MAX_ROWS]):
        total += len(row.value) if isinstance(row, NewCheckpoint) else 0
        if total > MAX_BYTES:
            return max(index, 1)
    return MAX_ROWS


def _batch(rows: Iterable[_Row]) -> Batch:
    checkpoints: list[NewCheckpoint] = []
    attempts: list[FailedAttempt] = []
    endings: list[Ending] = []
    children: list[NewChild] = []
    kinds: dict[type, list[Any]] = {
        NewCheckpoint: checkpoints,
        FailedAttempt: attempts,
        Ending: endings,
        NewChild: children,
    }
    for row in rows:
        kinds[type(row)].append(row)
    return Batch(checkpoints, attempts, endings, children)


def _fail(rows: Iterable[tuple[_Row, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in rows:
        if not done.done():
            done.set_exception(error)
            done.exception()  # a branch that has been cut no longer asks
