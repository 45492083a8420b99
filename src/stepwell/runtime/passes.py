"""One pass: what a replay of a workflow function has reached, what it waits for, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NoReturn

from stepwell.core.model import Checkpoint, Claimed, ExecutionId, FailedAttempt, Kind, NewCheckpoint, SessionId
from stepwell.core.replay import Replay, checked_key, checked_name
from stepwell.core.retry import Retry
from stepwell.errors import Diverged, InvalidOption, LeaseLost
from stepwell.failpoints import failpoint
from stepwell.runtime.branches import begin_workflow, current_branch, outside_the_workflow
from stepwell.runtime.context import running_step
from stepwell.store.base import Backend
from stepwell.store.flush import GroupCommit

QUIET_TURNS = 10  # turns of the event loop without a durable call after which blocked branches are all there is
SETTLE_SECONDS = 5.0  # for user code that cleans up while its pass ends

Key = str


class Suspend(BaseException):
    """Ends a pass inside user code. A BaseException, so that `except Exception` cannot swallow it."""


class Closing(Enum):
    """Why a pass accepts no more durable calls."""

    SUSPENDED = "every branch waits"
    HANDED_BACK = "the worker stops"
    CANCELLED = "the execution is being cancelled"
    TIMED_OUT = "the workflow's timeout has passed"
    DIVERGED = "the code does not fit the history"
    LOST = "the session has ended"
    ENDED = "the workflow function has ended"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all passes of one worker session share."""

    store: Backend
    session: SessionId
    commit: GroupCommit
    threads: Executor
    workflow_threads: Executor
    random: Callable[[], float]
    short_wait: timedelta  # waits up to this stay in memory; longer ones give everything back
    is_strict: bool  # changed arguments of a completed step park the execution, instead of a warning


class Pass:
    """The state of one replay, from claim to outcome. All of it lives on the event loop's thread."""

    def __init__(self, execution: Claimed, around: Surroundings, *, retry: Retry) -> None:
        self.execution, self.around, self.retry = execution, around, retry
        self.replay = Replay(execution.checkpoints, execution.retries)
        self.closing: Closing | None = None
        self.was_refused = False  # a durable call was cut: what the function returns or raises says nothing
        self.divergence: Diverged | None = None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._root: asyncio.Task[Any] | None = asyncio.current_task()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut = False
        self._cutting: asyncio.TimerHandle | None = None
        self._active = 0
        self._activity = 0
        self._blocked: list[asyncio.Future[None]] = []
        self._waits: list[tuple[datetime, str]] = []

    @property
    def id(self) -> ExecutionId:
        return self.execution.id

    def now(self) -> datetime:
        """The store's clock."""
        return self.around.store.now()

    def begin(self, *, in_thread: bool) -> None:
        """Make the current context the workflow's first branch."""
        begin_workflow(self._own, in_thread=in_thread)

    # --- names ----------------------------------------------------------------------------------------------------

    def key(self, name: str, earlier: str | None = None) -> Key:
        """The key of the durable call being made; under its earlier name if that is what is stored."""
        if running_step.get() is not None:
            raise InvalidOption(f"'{name}' is called inside a step; steps do not nest, call it from the workflow")
        branch = current_branch()
        if branch is None or threading.get_ident() != self._thread:
            raise InvalidOption(f"'{name}' is called outside its workflow; use step.map for parallel work in threads")
        self._activity += 1
        key, scope = branch.key(checked_name(name))
        checked_key(key)
        if earlier is not None and not self.replay.knows(key):
            old = scope.renamed(key, name, checked_name(earlier))
            return old if self.replay.knows(old) else key
        return key

    def stored(self, key: Key, kind: Kind) -> Checkpoint | None:
        """The stored outcome of a call. Parks the execution when another kind of call made it."""
        try:
            return self.replay.stored(key, kind)
        except Diverged as error:
            self.diverge(error)

    # --- going on, waiting, ending --------------------------------------------------------------------------------

    def enter(self) -> None:
        """Something goes on in this branch until `leave`: the pass is not suspended meanwhile."""
        if self.closing is not None:
            self.refuse()
        self._active += 1
        self._activity += 1

    def leave(self) -> None:
        self._active -= 1
        if not self._active and self._blocked:
            self._look_soon()

    async def wait_until(self, at: datetime, reason: str) -> None:
        """Return at that time. A long wait suspends this branch, and with the last one the pass."""
        failpoint("before_wait_check")
        while (left := at - self.now()) > timedelta(0):
            if left > self.around.short_wait:
                await self.block(at, reason)
            self.enter()
            try:
                await asyncio.sleep(left.total_seconds())
            finally:
                self.leave()

    async def block(self, until: datetime, reason: str) -> NoReturn:
        """Suspend this branch; the pass goes on in the others, and ends when all are suspended."""
        if self.closing is not None:
            self.refuse()
        never: asyncio.Future[None] = self._loop.create_future()
        self._blocked.append(never)
        self._waits.append((until, reason))
        if not self._active:
            self._look_soon()
        try:
            await never
        finally:
            del never  # it holds the exception, whose traceback holds this frame: garbage that waits for a collection
        raise AssertionError("a blocked branch does not go on")

    def refuse(self) -> NoReturn:
        """Cut the durable call being made."""
        self.was_refused = True
        raise Suspend

    def diverge(self, error: Diverged) -> NoReturn:
        """The code does not fit the history: park the execution, whatever user code does with the exception."""
        if self.divergence is None:
            self.divergence = error
        self.close(Closing.DIVERGED)
        self.refuse()

    async def store(self, row: NewCheckpoint | FailedAttempt) -> None:
        """Return when the row is durable."""
        try:
            await self.around.commit.add(row)
        except LeaseLost:
            self.close(Closing.LOST, at_once=True)
            self.refuse()

    def close(self, why: Closing, *, at_once: bool = False) -> None:
        """Accept no more durable calls. `at_once` also cuts steps that run; otherwise their outcome is still stored."""
        if self.closing is None:
            self.closing = why
            for never in self._blocked:
                if not never.done():
                    self.was_refused = True
                    never.set_exception(Suspend())
            self._blocked.clear()
        if at_once and not self._is_cut:
            self._is_cut = self.was_refused = True
            for task in {*self._tasks, self._root}:
                if task is not None and task is not asyncio.current_task():
                    task.cancel()

    def earliest_wait(self) -> tuple[datetime, str]:
        """Until when the suspended pass waits, and for what."""
        return min(self._waits)

    def _look_soon(self) -> None:
        self._loop.call_soon(self._look, QUIET_TURNS, self._activity)

    def _look(self, turns: int, activity: int) -> None:
        """Suspend once nothing has happened for some turns: tasks that were only just made have begun by then."""
        if self._active or self.closing is not None:
            return
        if activity != self._activity:
            turns, activity = QUIET_TURNS, self._activity
        if turns:
            self._loop.call_soon(self._look, turns - 1, activity)
        else:
            self.close(Closing.SUSPENDED)
            self._cutting = self._loop.call_later(SETTLE_SECONDS / 2, self._cut_leftovers)

    def _cut_leftovers(self) -> None:
        """A branch that awaits something else than durable calls would hold the pass for ever."""
        if self._root is not None and not self._root.done() and self.closing is Closing.SUSPENDED:
            self.close(Closing.SUSPENDED, at_once=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the engine's that ends with the pass."""
        with outside_the_workflow():
            task = self._loop.create_task(work)
        self._own(task)
        return task

    def _own(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> list[asyncio.Task[Any]]:
        """End the branches that are left; those that refuse to end are returned."""
        self._root = None
        if self._cutting is not None:
            self._cutting.cancel()  # it holds the pass, and thousands may sleep
        self.close(Closing.ENDED)
        left = {task for task in self._tasks if not task.done()}
        if not left:
            return []
        for task in left:
            task.cancel()
        _, stubborn = await asyncio.wait(left, timeout=SETTLE_SECONDS)
        return list(stubborn)
