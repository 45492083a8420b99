"""URLs that answer waits, on PostgreSQL. See `Callbacks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import psycopg

from stepwell.core.callbacks import Callback, NewCallback
from stepwell.core.model import ExecutionId
from stepwell.errors import DatabaseUnavailable
from stepwell.failpoints import failpoint
from stepwell.store import binary
from stepwell.store.catalog import Run
from stepwell.store.listing import Read
from stepwell.store.wire import Row

MAX_CALLBACKS = 1_000  # of an execution: people have to read the list


class PostgresCallbacks:
    """Keeps the Callbacks protocol. `post` has the event of an answer put into its place."""

    def __init__(self, run: Run, *, read: Read, post: Callable[[], None]) -> None:
        self._run, self._read, self._post = run, read, post

    async def open_callback(self, new: NewCallback) -> datetime:
        found = await self._run(
            "open_callback",
            new.id.bytes,
            new.execution_id.bytes,
            new.key.encode(),
            new.name.encode(),
            binary.maybe_text(new.prompt),
            new.schema,
            binary.timestamptz(new.expires_at),
        )
        return found[0][0] if found else new.expires_at

    async def answer(self, callback_id: UUID, payload: bytes, *, by: str | None) -> bool:
        failpoint("before_callback_commit")
        try:
            found = await self._run("answer_callback", callback_id.bytes, binary.maybe_text(by), payload)
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseUnavailable("the answer is held up by a transaction still open; try again") from error
        failpoint("after_callback_commit")
        if found[0][0]:
            self._post()
        return bool(found[0][0])

    async def callback(self, callback_id: UUID) -> Callback | None:
        found = await self._read("callback", callback_id.bytes)
        return _callback(found[0]) if found else None

    async def callbacks(self, execution_id: ExecutionId) -> Sequence[Callback]:
        found = await self._read("callbacks", execution_id.bytes, binary.int4(MAX_CALLBACKS))
        return [_callback(row) for row in found]


def _callback(row: Row) -> Callback:
    id, execution_id, *rest = row
    return Callback(id, ExecutionId(execution_id), *rest)
