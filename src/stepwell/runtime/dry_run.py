"""What new code would make of a stored history: a replay that runs no step and writes nothing.

It goes as far as the stored outcomes reach. The first call of each branch that has none ends that branch, and when
every branch has come to its end the replay is over.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from uuid import UUID

from stepwell.core.events import address
from stepwell.core.model import (
    Checkpoint,
    Child,
    Completed,
    Elsewhere,
    ExecutionId,
    Failed,
    FailedAttempt,
    Found,
    Look,
    NewCheckpoint,
    NewChild,
    Outcome,
    SessionId,
    WaitRecord,
)
from stepwell.core.replay import call_of, is_patch_key
from stepwell.errors import Diverged
from stepwell.runtime.branches import counted_tasks
from stepwell.runtime.executor import own_outcome
from stepwell.runtime.history import History
from stepwell.runtime.passes import Closing, Key, Pass, Surroundings, Wait
from stepwell.runtime.registry import Registry, Workflow
from stepwell.store.flush import GroupCommit
from stepwell.store.memory import MemoryStore
from stepwell.store.together import Together

LIMIT_SECONDS = 10.0  # for code that waits for something other than a durable call; a replay takes milliseconds

Called = Callable[[Sequence[tuple[ExecutionId, Key]]], Awaitable[Sequence[Child | None]]]

_NEVER = datetime.max.replace(tzinfo=UTC)
_ORIGIN_DEPTH = 4  # frames above the one that makes a durable call's coroutine: SyncStep's, then the user's

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"
_ASYNCIO = f"{Path(asyncio.__file__).parent}{os.sep}"


class Place(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """How far a replay came.

    `divergence` is why the execution would be parked. `begins` are the calls that would run next, in the order in which
    the code comes to them; `waits_for` says what else ended the replay. `place` is where the code diverges, else where
    it makes the first of the calls that begin. `unreached` is what is stored and was not asked for. `outcome` is set if
    the function came to its own end.
    """

    divergence: Diverged | None
    place: Place | None
    begins: tuple[Key, ...]
    waits_for: str | None
    unreached: tuple[Key, ...]
    outcome: Completed | Failed | None
    is_stuck: bool  # it waits for something that is no durable call


async def dry_run(
    history: History,
    workflow: Workflow[Any, Any],
    *,
    called: Called | None = None,
    waits: Sequence[WaitRecord] = (),
) -> DryRun:
    """Replay the history against the workflow. No step runs, nothing is written, no time passes.

    `called` looks for children under way, which are then compared with those that the code calls; `waits` are those
    that the execution has begun, and are compared with what the code waits for.
    """
    store = _HistoryStore(history, called, waits)
    with _surroundings(store, workflow) as around, counted_tasks(), _origins_are_kept():
        pass_ = _DryPass(history, around, workflow)
        limit = asyncio.get_running_loop().call_later(LIMIT_SECONDS, pass_.give_up)
        try:
            own = await own_outcome(pass_, workflow)
        finally:
            limit.cancel()
            await pass_.settle()
    return pass_.summary(history, own)


class _DryPass(Pass):
    """A pass in which a call that has no stored outcome waits for ever."""

    def __init__(self, history: History, around: Surroundings, workflow: Workflow[Any, Any]) -> None:
        super().__init__(history.claimed(), around, retry=workflow.retry)
        self._function = workflow.function
        self._met: dict[Key, Place | None] = {}
        self._begins: list[Key] = []
        self._is_stuck = False

    def key(self, name: str, earlier: str | None = None) -> Key:
        key = super().key(name, earlier)
        self._met.setdefault(key, _caller())
        return key

    async def begin_work(self, key: Key) -> None:
        if self.closing is None:
            self._begins.append(key)
        await self.block(Wait(_NEVER, key))

    async def store(self, *rows: NewCheckpoint | FailedAttempt | NewChild) -> None:
        """A call that only looked until now: to it nothing had come, so it would begin, or end, now."""
        self.leave()
        try:
            await self.begin_work(rows[-1].key)
        finally:
            self.enter()

    def note(self, row: NewCheckpoint) -> None:
        """Nothing is stored."""

    def refuse_race(self, call: str) -> None:
        self._met.setdefault(call, _racer())
        super().refuse_race(call)

    def give_up(self) -> None:
        self._is_stuck = True
        self.close(Closing.ENDED, at_once=True)

    def summary(self, history: History, own: Outcome | None) -> DryRun:
        has_ended = isinstance(own, Completed | Failed) and not self.was_refused
        stored = dict.fromkeys([*history.claimed().checkpoints, *history.claimed().retries])
        return DryRun(
            divergence=self.divergence,
            place=self._place(self.divergence.step) if self.divergence else self._place_of_next(),
            begins=tuple(self._begins),
            waits_for=self._waits_for(),
            unreached=tuple(key for key in stored if call_of(key) not in self._met and not is_patch_key(key)),
            outcome=own if has_ended and isinstance(own, Completed | Failed) else None,
            is_stuck=self._is_stuck,
        )

    def _waits_for(self) -> str | None:
        """The reason of the earliest wait of a branch that has not come to a new call."""
        waits = [(wait.until or _NEVER, wait.reason) for wait in self.waits if wait.until != _NEVER]
        return min(waits)[1] if waits else None

    def _place_of_next(self) -> Place | None:
        return self._place(self._begins[0]) if self._begins else None

    def _place(self, key: Key) -> Place | None:
        """Where the call is made; for the input, where the function begins."""
        if (call := call_of(key)) in self._met:
            return self._met[call]
        code = getattr(self._function, "__code__", None)
        return None if code is None else Place(code.co_filename, code.co_firstlineno)


class _HistoryStore(MemoryStore):
    """An empty store whose clock stands, and which knows one execution's children, waits and items of maps."""

    def __init__(self, history: History, called: Called | None, waits: Sequence[WaitRecord]) -> None:
        super().__init__()
        self._history, self._called, self._begun = history, called, waits

    def now(self) -> datetime:
        return self._history.as_of

    async def items(
        self,
        execution_id: ExecutionId,  # noqa: ARG002
        key: str,
        *,
        after: int | None = None,  # noqa: ARG002 - a replay reads all of them
    ) -> AsyncIterator[tuple[int, Checkpoint]]:
        for index, stored in self._history.items(key):
            yield index, stored

    async def called(self, calls: Sequence[tuple[ExecutionId, str]]) -> Sequence[Child | None]:
        return [None] * len(calls) if self._called is None else await self._called(calls)

    async def look(self, looks: Sequence[Look]) -> Sequence[Found]:
        return [self._elsewhere(look) for look in looks]

    def _elsewhere(self, look: Look) -> Elsewhere | None:
        """Nothing has come; the call may have begun to wait for what it no longer waits for."""
        begun = [wait for wait in self._begun if wait.step == look.key and look.among is not None]
        places = [(wait.name, address(key=wait.key, execution_id=wait.execution_id)) for wait in begun]
        return next((Elsewhere(*place) for place in places if place not in (look.among or ())), None)


@contextmanager
def _surroundings(store: MemoryStore, workflow: Workflow[Any, Any]) -> Iterator[Surroundings]:
    """As a worker session's, except that there is no session: whatever tried to write would be refused."""
    session = SessionId(UUID(int=0))
    commit = GroupCommit(store, session, on_lost=lambda _: None, on_cancelling=lambda _: None)
    threads = ThreadPoolExecutor(initializer=partial(sys.set_coroutine_origin_tracking_depth, _ORIGIN_DEPTH))
    try:
        yield Surroundings(
            store=store,
            session=session,
            commit=commit,
            threads=threads,
            thread_slots=asyncio.Semaphore(1),
            workflow_threads=threads,
            random=lambda: 0.0,
            short_wait=timedelta(0),
            is_strict=True,
            cancel_grace=timedelta(0),
            registry=Registry() if workflow.app is None else workflow.app.registry,
            looks=Together(store.look),
            calls=Together(store.called),
        )
    finally:
        threads.shutdown(wait=False)  # a function that is stuck would never let go of its thread


@contextmanager
def _origins_are_kept() -> Iterator[None]:
    """Coroutines remember where they were made, so that a call which gather wrapped in a task has a line, too."""
    before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(_ORIGIN_DEPTH)
    try:
        yield
    finally:
        sys.set_coroutine_origin_tracking_depth(before)


def _racer() -> Place | None:
    """The line of the user's code that waits for whichever task is done first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_PACKAGE, asyncio.tasks.__file__)):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


def _caller() -> Place | None:
    """The line of the user's code that makes the durable call."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is not None and not frame.f_code.co_filename.startswith(_ASYNCIO):
        return Place(frame.f_code.co_filename, frame.f_lineno)
    task = asyncio.current_task()
    origin = getattr(task.get_coro(), "cr_origin", None) if task else None
    return next((Place(file, line) for file, line, _ in origin or () if not file.startswith(_PACKAGE)), None)
