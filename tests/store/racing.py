"""Two sides of a race on real connections, with the order in which they get their locks in the test's hand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from stepwell.core.model import Batch, ExecutionId, Look, NewCheckpoint, NewEvent, NewExecution, SessionId
from stepwell.store import binary, rows
from stepwell.store.asis import Binary
from stepwell.store.connect import with_settings
from stepwell.store.identity import new_id
from stepwell.store.statements import statement
from tests.store.world import MAX_CRASHES, SIGNAL_SECONDS

Row = tuple[Any, ...]


class Call:
    """One of our statements, or a variant of it, with its parameters as the engine sends them."""

    def __init__(self, name: str, parameters: Iterable[bytes | None]) -> None:
        self.text = statement(name).text
        self.parameters = [None if parameter is None else Binary(parameter) for parameter in parameters]

    def without(self, part: bytes) -> Call:
        """The negative control: the same statement lacking what is said to be needed."""
        return self.with_(b"", instead_of=part)

    def with_(self, part: bytes, *, instead_of: bytes) -> Call:
        assert instead_of in self.text
        self.text = self.text.replace(instead_of, part)
        return self


def flush(session: SessionId, batch: Batch) -> Call:
    return Call("flush", [session.bytes, *rows.batch_parameters(batch)])


def checkpoints(session: SessionId, new: Sequence[NewCheckpoint]) -> Call:
    return Call("checkpoint", [session.bytes, *rows.checkpoint_parameters(new)])


def checkpoint_one(session: SessionId, new: NewCheckpoint) -> Call:
    return Call("checkpoint_one", [session.bytes, *rows.checkpoint_one_parameters(new)])


def complete_one(session: SessionId, execution_id: ExecutionId, result: bytes) -> Call:
    return Call("complete_one", [session.bytes, execution_id.bytes, result])


def complete(session: SessionId, new: Sequence[NewCheckpoint], ids: Sequence[ExecutionId]) -> Call:
    """Checkpoints and completions in one statement."""
    results = [binary.uuids(ids), binary.byteas([b"1"] * len(ids))]
    return Call("complete", [session.bytes, *rows.checkpoint_parameters(new), *results])


def record(session: SessionId, checkpoint: NewCheckpoint) -> Call:
    execution_id, key, kind, digest, value, _ = checkpoint
    texts = [key.encode(), kind.encode()]
    return Call("record", [session.bytes, execution_id.bytes, *texts, binary.int4(digest), value])


def create(new: Sequence[NewExecution]) -> Call:
    return Call("create", rows.create_parameters(new))


def claim(session: SessionId, *, limit: int) -> Call:
    lanes = [binary.texts(["default"]), binary.texts(["order"])]
    bounds = [binary.int4(limit), binary.MINUS_INFINITY, binary.boolean(True)]
    return Call("claim", [session.bytes, *lanes, *bounds, binary.texts([]), binary.int4s([]), binary.boolean(True)])


def reap() -> Call:
    return Call("reap", [binary.int4(MAX_CRASHES)])


def close_session(session: SessionId) -> Call:
    return Call("close_session", [session.bytes])


def cancel(execution_id: ExecutionId, *, force: bool = False) -> Call:
    return Call("cancel", [execution_id.bytes, b"no longer needed", binary.boolean(force), None])


def pause(execution_id: ExecutionId) -> Call:
    return Call("pause", [execution_id.bytes, b"ann", None])


def resume(execution_id: ExecutionId) -> Call:
    return Call("resume", [execution_id.bytes, b"bob", None])


def reopen(execution_id: ExecutionId) -> Call:
    return Call("reopen", [execution_id.bytes, b"ann"])


def fork(execution_id: ExecutionId) -> Call:
    none = [binary.texts([]), binary.byteas([])]
    return Call("fork", [execution_id.bytes, new_id().bytes, None, None, *none, b"ann"])


def send(event: NewEvent) -> Call:
    return Call("send", [*rows.event_parameters(event), None])


def look(looks: Sequence[Look]) -> Call:
    return Call("look", rows.look_parameters(looks))


def watch(ids: Sequence[ExecutionId]) -> Call:
    return Call("watch", [binary.uuids(ids)])


class Racer:
    """One side: a connection, and a thread in which its statement can be left waiting for a lock."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(with_settings(url), autocommit=True)
        self._watcher = psycopg.connect(url, autocommit=True)
        self._thread = ThreadPoolExecutor(1)

    def transaction(self, *, force_rollback: bool = False) -> AbstractContextManager[psycopg.Transaction]:
        """What runs inside is committed (or undone) at the end: until then it holds its locks and nobody sees it."""
        return self._connection.transaction(force_rollback=force_rollback)

    def execute(self, text: str, *parameters: object) -> list[Row]:
        cursor = self._connection.execute(text.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def run(self, call: Call) -> list[Row]:
        cursor = psycopg.RawCursor(self._connection)
        cursor.execute(call.text, call.parameters, binary=True)
        return cursor.fetchall() if cursor.description else []

    def start(self, call: Call) -> Future[list[Row]]:
        """Send a statement without waiting for its answer."""
        return self._thread.submit(self.run, call)

    def start_and_block(self, call: Call) -> Future[list[Row]]:
        """Send a statement that has to wait for a lock; return when it waits."""
        answer = self.start(call)
        deadline = time.monotonic() + SIGNAL_SECONDS
        while not self._is_blocked():
            assert not answer.done(), "it did not have to wait"
            assert time.monotonic() < deadline
        return answer

    def _is_blocked(self) -> bool:
        pid = self._connection.info.backend_pid
        row = self._watcher.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()
        return row is not None and row[0]

    def close(self) -> None:
        self._connection.cancel_safe(timeout=SIGNAL_SECONDS)
        self._thread.shutdown()
        self._connection.close()
        self._watcher.close()


def answer_of(future: Future[list[Row]]) -> list[Row]:
    """The rows of a statement that nothing holds up any more."""
    return future.result(SIGNAL_SECONDS)
