"""One pass: what a replay of a workflow function has reached, what it waits for, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NoReturn, TypeVar

from stepwell.core.model import Claimed, ExecutionId, FailedAttempt, NewCheckpoint, SessionId
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

MAX_REFUSALS = 100  # durable calls after the pass was closed; more are a loop that swallows them

R = TypeVar("R")

Key = str
Wait = tuple[datetime, str]  # until when, and for what
Replaced = Callable[[Key, Callable[..., Any]], Callable[..., Any]]  # what runs in the place of a step's function


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
    thread_slots: asyncio.Semaphore  # as many as there are threads for steps
    workflow_threads: Executor
    random: Callable[[], float]
    short_wait: timedelta  # waits up to this stay in memory; longer ones give everything back
    is_strict: bool  # changed arguments of a completed step park the execution, instead of a warning
    replaced: Replaced | None = None


class Pass:
    """The state of one replay, from claim to outcome. All of it lives on the event loop's thread."""

    def __init__(self, execution: Claimed, around: Surroundings, *, retry: Retry) -> None:
        self.execution, self.around, self.retry = execution, around, retry
        self.replay = Replay(execution.checkpoints, execution.retries)
        self.closing: Closing | None = None
        self.was_refused = False  # a durable call was cut: what the function returns or raises says nothing
        self.divergence: Diverged | None = None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._root: asyncio.Task[Any] | None = None
        self._over: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut = False
        self._timer: asyncio.TimerHandle | None = None
        self._active = 0
        self._activity = 0
        self._refusals = 0
        self._blocked: dict[asyncio.Future[None], Wait | None] = {}
        self.earliest_wait: Wait | None = None  # of a suspended pass: until when, and for what

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

    # --- going on, waiting, ending --------------------------------------------------------------------------------

    async def begin_work(self, key: Key) -> None:  # noqa: ARG002 (a dry run stops here, and says before which call)
        """Return if the call may do what is not stored yet; it goes on until `leave`."""
        await self.admit()
        self.enter()

    def enter(self) -> None:
        """Something goes on in this branch until `leave`: the pass is neither suspended nor ended meanwhile."""
        self._active += 1
        self._activity += 1

    def leave(self) -> None:
        self._active -= 1
        if self._active:
            return
        if self.closing is not None:
            self._release()
        elif self._blocked:
            self._look_soon()

    async def admit(self) -> None:
        """Return if a durable call may be made; cut it if the pass is closing."""
        if self.closing is not None:
            await self.stop()

    async def stop(self) -> NoReturn:
        """Cut the durable call being made, once the steps that run in other branches have ended.

        Until then this branch waits: its unwinding would take them along, as a task group does.
        """
        self.was_refused = True
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            await self._loop.create_future()  # user code swallows the suspension and calls again: until it is cut
        if self._active and not self._is_cut:
            await self._never(None)
        raise Suspend

    async def wait_until(self, at: datetime, reason: str) -> None:
        """Return at that time. A long wait suspends this branch, and with the last one the pass."""
        failpoint("before_wait_check")
        while (left := at - self.now()) > timedelta(0):
            if left > self.around.short_wait:
                await self.block(at, reason)
            await self.admit()
            self.enter()
            try:
                await asyncio.sleep(left.total_seconds())
            finally:
                self.leave()

    async def block(self, until: datetime, reason: str) -> NoReturn:
        """Suspend this branch; the pass goes on in the others, and ends when all are suspended."""
        await self.admit()
        if not self._active:
            self._look_soon()
        await self._never((until, reason))
        raise AssertionError("a blocked branch does not go on")

    async def _never(self, wait: Wait | None) -> None:
        never: asyncio.Future[None] = self._loop.create_future()
        self._blocked[never] = wait
        try:
            await never
        finally:
            self._blocked.pop(never, None)  # user code may cancel a wait: nobody waits for it any more
            del never  # it holds the exception, whose traceback holds this frame: garbage that waits for a collection

    async def diverge(self, error: Diverged) -> NoReturn:
        """The code does not fit the history: park the execution, whatever user code does with the exception."""
        if self.divergence is None:
            self.divergence = error
        self.close(Closing.DIVERGED)
        await self.stop()

    async def store(self, row: NewCheckpoint | FailedAttempt) -> None:
        """Return when the row is durable."""
        try:
            await self.around.commit.add(row)
        except LeaseLost:
            self.lose()

    def lose(self) -> NoReturn:
        """The session has ended: cut everything, store nothing."""
        self.close(Closing.LOST, at_once=True)
        raise Suspend

    def close(self, why: Closing, *, at_once: bool = False) -> None:
        """Accept no more durable calls. `at_once` also cuts steps that run; otherwise their outcome is still stored."""
        if self.closing is None:
            self.closing = why
        if at_once:
            self._cut()
        elif not self._active:
            self._release()

    def _release(self) -> None:
        """Let the blocked branches unwind; what does not end by itself is cut."""
        waits = [wait for wait in self._blocked.values() if wait is not None]
        if waits:
            self.earliest_wait = min(waits)
        for never in self._blocked:
            if not never.done():
                self.was_refused = True
                never.set_exception(Suspend())
        if self._timer is None and self.closing is not Closing.HANDED_BACK:  # that has the worker's grace
            self._timer = self._loop.call_later(SETTLE_SECONDS / 2, self._cut)

    def _cut(self) -> None:
        if self._is_cut:
            return
        self._is_cut = self.was_refused = True
        for task in {*self._tasks, self._root}:
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._set_timer(SETTLE_SECONDS, self._end)

    def _end(self) -> None:
        """The function has ended; or it swallows its cancellation and is left behind, or the pass would never end."""
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _set_timer(self, seconds: float, work: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, work)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # it holds the pass, and thousands may sleep
            self._timer = None

    def _look_soon(self) -> None:
        self._loop.call_soon(self._look, QUIET_TURNS, self._activity)

    def _look(self, turns: int, activity: int) -> None:
        """Suspend once nothing has happened for some turns: tasks that were only just made have begun by then."""
        if self._active or self.closing is not None or not self._blocked:
            return
        if activity != self._activity:
            turns, activity = QUIET_TURNS, self._activity
        if turns:
            self._loop.call_soon(self._look, turns - 1, activity)
        else:
            self.close(Closing.SUSPENDED)

    # --- tasks ----------------------------------------------------------------------------------------------------

    async def run(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run the workflow's function as a task of its own, and return it when it has ended, or is left behind."""
        over = self._over = self._loop.create_future()
        root = self._root = self._loop.create_task(work)
        root.add_done_callback(lambda _: self._end())
        try:
            await over
        finally:
            root.cancel()
        return root

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
        if self.closing is None:
            self.closing = Closing.ENDED
        self._is_cut = True
        self._stop_timer()
        root, self._root, self._over = self._root, None, None
        left = {task for task in self._tasks if not task.done()}
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=SETTLE_SECONDS)
        return [*left, *([root] if root is not None and not root.done() else [])]
