"""One pass: what a replay of a workflow function has reached, what it waits for, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from stepwell.core.model import (
    Child,
    Claimed,
    ExecutionId,
    FailedAttempt,
    Found,
    Look,
    NewCheckpoint,
    NewChild,
    SessionId,
)
from stepwell.core.replay import Replay, checked_key, checked_name
from stepwell.core.retry import Retry
from stepwell.errors import Cancelled, Diverged, InvalidOption, LeaseLost, NotAllowed
from stepwell.failpoints import failpoint
from stepwell.running import running_step
from stepwell.runtime.branches import Branch, begin_alone, begin_workflow, current_branch, outside_the_workflow
from stepwell.runtime.topics import Topics
from stepwell.store.base import Backend
from stepwell.store.flush import GroupCommit
from stepwell.store.together import Together

if TYPE_CHECKING:
    from stepwell.runtime.callbacks import Links
    from stepwell.runtime.registry import Registry

QUIET_TURNS = 10  # turns of the event loop without a durable call after which blocked branches are all there is
SETTLE_SECONDS = 5.0  # for user code that cleans up while its pass ends

EXPIRED = "expired"  # the reason of an execution whose deadline has come
MAX_REFUSALS = 100  # durable calls after the pass was closed; more are a loop that swallows them

R = TypeVar("R")

Key = str
Replaced = Callable[[Key, Callable[..., Any]], Callable[..., Any]]  # what runs in the place of a step's function


class Wait(NamedTuple):
    """What a blocked branch waits for: a time, or something from outside, at the latest until a time."""

    until: datetime | None
    reason: str
    is_outside: bool = False


class Suspend(BaseException):
    """Ends a pass inside user code. A BaseException, so that `except Exception` cannot swallow it."""


class Closing(Enum):
    """Why a pass accepts no more durable calls."""

    SUSPENDED = "every branch waits"
    HANDED_BACK = "the worker stops"
    CANCELLED = "the execution is being cancelled"
    PAUSED = "the execution has been paused"
    EXPIRED = "the execution's deadline has come"
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
    cancel_grace: timedelta  # for a cancelled workflow to clean up
    registry: Registry
    looks: Together[Look, Found]
    calls: Together[tuple[ExecutionId, str], Child | None]
    replaced: Replaced | None = None
    links: Links | None = None  # None: no URLs can be made here


class Pass:
    """The state of one replay, from claim to outcome. All of it lives on the event loop's thread."""

    __slots__ = (  # a thousand run at a time: a dict would take 1.4 KB more of each
        "_active", "_activity", "_blocked", "_grace", "_is_cut", "_is_undoing", "_loop", "_over", "_reason",
        "_refusals", "_root", "_tasks", "_thread", "_timer", "_undoer", "around", "asked_at", "closing",
        "connection", "divergence", "execution", "interruption", "is_lenient", "is_undone", "met", "patches", "replay",
        "retry", "topics", "undos", "waits", "was_refused", "was_told",
    )  # fmt: skip

    def __init__(self, execution: Claimed, around: Surroundings, *, retry: Retry) -> None:
        self.execution, self.around, self.retry = execution, around, retry
        self.replay = Replay(execution.checkpoints, execution.retries)
        self.topics = Topics(execution.checkpoints)
        self.closing: Closing | None = None
        self.interruption: Closing | None = None  # the workflow is told to stop, and may clean up
        self.asked_at: datetime | None = None  # when that was asked for
        self._reason = ""
        self.connection: str | None = None  # whose delivery has started the execution
        self.was_told = False  # the workflow knows that it is to stop: it ends as cancelled, whatever it returns
        self.was_refused = False  # a durable call was cut: what the function returns or raises says nothing
        self.divergence: Diverged | None = None
        self.is_lenient = False  # an argument of completed calls cannot be made again: they are not held to it
        self.met: set[Key] = set()  # the calls that were made so far
        self.patches: dict[Key, bool] = {}  # what was decided on this pass
        self.undos: list[Any] = []  # the calls that undo what the workflow has done, as they were registered
        self.is_undone = False  # some of them were made on an earlier pass: the workflow cannot go on
        self._is_undoing = False
        self._undoer: Branch | None = None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._root: asyncio.Task[Any] | None = None
        self._over: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut = False
        self._timer: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._active = 0
        self._activity = 0
        self._refusals = 0
        self._blocked: dict[asyncio.Future[None], tuple[Wait | None, Branch | None]] = {}
        self.waits: list[Wait] = []  # of a suspended pass

    @property
    def id(self) -> ExecutionId:
        return self.execution.id

    @property
    def seed(self) -> ExecutionId:
        """What uuid() and random() are derived from: in a fork, the first of those it was made from."""
        return self.execution.seed or self.id

    def now(self) -> datetime:
        """The store's clock."""
        return self.around.store.now()

    def begin(self, *, in_thread: bool) -> None:
        """Make the current context the workflow's first branch."""
        begin_workflow(self, in_thread=in_thread)

    # --- names ----------------------------------------------------------------------------------------------------

    def key(self, name: str, earlier: str | None = None) -> Key:
        """The key of the durable call being made; under its earlier name if that is what is stored."""
        branch = self.check_place(name)
        self._activity += 1
        key, scope = branch.key(checked_name(name))
        checked_key(key)
        self.met.add(key)
        if earlier is not None and not self.replay.knows(key):
            old = scope.renamed(key, name, checked_name(earlier))
            self.met.add(old)
            return old if self.replay.knows(old) else key
        return key

    def check_place(self, name: str) -> Branch:
        """The branch that makes the call. Raises InvalidOption when it is none of the workflow's."""
        if running_step.get() is not None:
            raise InvalidOption(f"'{name}' is called inside a step; steps do not nest, call it from the workflow")
        branch = current_branch()
        if branch is None or threading.get_ident() != self._thread:
            raise InvalidOption(f"'{name}' is called outside its workflow; use step.map for parallel work in threads")
        return branch

    # --- going on, waiting, ending --------------------------------------------------------------------------------

    async def begin_work(self, key: Key) -> None:
        """Return if the call may do what is not stored yet; it goes on until `leave`. Raises HistoryTooLarge."""
        await self.begin_looking(key)

    async def begin_looking(self, key: Key) -> None:
        """The same, to look for what has come, which changes nothing."""
        if self.closing is not None or self.interruption is not None or self.is_undone or self._is_undoing:
            await self.admit()
        else:
            self.replay.check_size(key)
        self.enter()

    def enter(self) -> None:
        """Something goes on in this branch until `leave`: the pass is neither suspended nor ended meanwhile."""
        self._active += 1
        self._activity += 1
        if branch := current_branch():
            branch.calls += 1

    def leave(self) -> None:
        """What went on has ended: the last to leave lets the pass be suspended or ended."""
        self._active -= 1
        if branch := current_branch():
            branch.calls -= 1
        if self._active:
            return
        if self.closing is not None:
            self._release()
        elif self._blocked or self._is_over:
            self._look_soon()

    async def admit(self) -> None:
        """Return if a durable call may be made; cut it if the pass is closing. Raises Cancelled once in a branch."""
        if self.is_stray:
            await self._loop.create_future()  # until it is cut
        if self.closing is not None:
            await self.stop()
        if self.is_to_be_told(current_branch()):
            if not self._active:
                self._look_soon()
            await self._never(None)
        if self.is_undone and not self._is_undoing:
            what = "its compensations have run; start a new one"
            raise NotAllowed(operation="go on with", execution_id=self.id, status="undone", because=what)

    @property
    def is_stray(self) -> bool:
        """Whether this branch was left behind: only the one that undoes may go on."""
        return self._is_undoing and current_branch() is not self._undoer

    @property
    def is_undoing(self) -> bool:
        """Whether the function has ended, and what it did is being undone."""
        return self._is_undoing

    async def clear(self) -> None:
        """Cut what the function has left behind, and let the pass go on for what undoes its work."""
        self._is_undoing, self.closing, self.was_refused, self._is_cut, self._refusals = True, None, False, False, 0
        self._stop_timer()
        self.waits.clear()
        left = {task for task in {*self._tasks, self._root} if task is not None and not task.done()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=SETTLE_SECONDS)

    def begin_undoing(self) -> None:
        """Make the current context the only branch that goes on."""
        self._undoer = begin_alone(self)

    def is_to_be_told(self, branch: Branch | None) -> bool:
        """Whether the execution is being cancelled and the branch does not know it."""
        return self.interruption is not None and branch is not None and not branch.is_told

    def interrupt(self, why: Closing, *, asked_at: datetime, until: datetime, reason: str | None) -> None:
        """Have every branch told that the execution is being cancelled, at its next durable call or in its wait.

        Each is told when nothing else goes on, one after the other: steps that run end first, and no branch's clean-up
        is cut because another one's has ended. `until` is when the pass is cut, whatever it does.
        """
        if self.closing is not None or self.interruption is not None:
            return
        self.interruption, self.asked_at, self._reason = why, asked_at, reason or "cancelled"
        left = max((until - self.now()).total_seconds(), 0.0)
        self._grace = self._loop.call_later(left, partial(self.close, why, at_once=True))
        if self._blocked and not self._active:
            self._look_soon()

    def _tell_next(self) -> bool:
        """Whether there was a branch that did not know yet."""
        for never, (_, branch) in self._blocked.items():
            if self.is_to_be_told(branch) and not never.done():
                never.set_exception(Cancelled(self._reason))
                self._activity += 1  # the next one not before this one has come to rest
                return True
        return False

    def _has_heard(self) -> None:
        self.was_told = True
        if branch := current_branch():
            branch.tell()

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
                await self.block(Wait(at, reason))
            await self.admit()
            self.enter()
            try:
                await asyncio.sleep(left.total_seconds())
            finally:
                self.leave()

    async def block(self, wait: Wait) -> NoReturn:
        """Suspend this branch; the pass goes on in the others, and ends when all are suspended."""
        await self.admit()
        if not self._active:
            self._look_soon()
        await self._never(wait)
        raise AssertionError("a blocked branch does not go on")

    async def _never(self, wait: Wait | None) -> None:
        never: asyncio.Future[None] = self._loop.create_future()
        self._blocked[never] = wait, current_branch()
        try:
            await never
        except (Cancelled, asyncio.CancelledError):  # or the workflow itself has cancelled the branch, to end it
            if self.interruption is not None and self.closing is None:
                self._has_heard()
            raise
        finally:
            self._blocked.pop(never, None)  # user code may cancel a wait: nobody waits for it any more
            del never  # it holds the exception, whose traceback holds this frame: garbage that waits for a collection

    async def diverge(self, error: Diverged) -> NoReturn:
        """The code does not fit the history: park the execution, whatever user code does with the exception."""
        self._park(error)
        await self.stop()

    def refuse_race(self, call: str) -> None:
        """The workflow waits for whichever branch is done first: park it. What ends anyway is left alone."""
        if current_branch() is not None and self.closing is None and self.interruption is None:
            what = "waits for whichever task is done first, which is another one on another pass"
            way_out = "let step.first decide, or wait for all with asyncio.gather"
            message = f"the workflow's {call} {what}; {way_out}"
            self._park(Diverged(step=call, expected="the same on every pass", met=what, message=message))

    def _park(self, error: Diverged) -> None:
        if self.divergence is None:
            self.divergence = error
        self.close(Closing.DIVERGED)

    async def store(self, *rows: NewCheckpoint | FailedAttempt | NewChild) -> None:
        """Return when the rows are durable."""
        add = self.around.commit.add
        added = (add(rows[0]),) if len(rows) == 1 else [add(row) for row in rows]  # no list for each step
        for row in rows:
            if isinstance(row, NewCheckpoint):
                self.replay.grow(row)
        try:
            for stored in added:
                await stored
        except LeaseLost:
            self.lose()

    def note(self, row: NewCheckpoint) -> None:
        """Store the row without waiting for it: later rows of the execution are stored after it."""
        self.around.commit.add(row).add_done_callback(asyncio.Future.exception)

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
        if self._is_over:
            self._end()
        self.waits += [wait for wait, _ in self._blocked.values() if wait is not None]
        for never in self._blocked:
            if not never.done():
                self.was_refused = True
                never.set_exception(Suspend())
        has_grace = self.closing in (Closing.HANDED_BACK, Closing.PAUSED)  # the worker's own, or as long as steps take
        if self._timer is None and not has_grace:
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
        """Suspend or end once nothing has happened for some turns: tasks just made or told have begun by then."""
        if self._active or self.closing is not None or not (self._blocked or self._is_over):
            return
        if activity != self._activity:
            turns, activity = QUIET_TURNS, self._activity
        if turns:
            self._loop.call_soon(self._look, turns - 1, activity)
        elif self._tell_next():
            self._look_soon()
        elif self._blocked:
            self.close(Closing.SUSPENDED)
        else:
            self._end()

    # --- tasks ----------------------------------------------------------------------------------------------------

    async def run(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run the workflow's function as a task of its own, and return it when it has ended, or is left behind."""
        over = self._over = self._loop.create_future()
        root = self._root = self._loop.create_task(work)
        root.add_done_callback(lambda _: self._root_done())
        try:
            await over
        finally:
            root.cancel()
        return root

    def _root_done(self) -> None:
        """The function has ended; branches that it left while it is being cancelled may still clean up."""
        if self.interruption is None or self.closing is not None:
            self._end()
        elif not self._active:
            self._look_soon()

    @property
    def _is_over(self) -> bool:
        return self._root is not None and self._root.done()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the engine's that ends with the pass."""
        with outside_the_workflow():
            task = self._loop.create_task(work)
        self.own(task)
        return task

    def own(self, task: asyncio.Task[Any]) -> None:
        """It ends with the pass."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> list[asyncio.Task[Any]]:
        """End the branches that are left; those that refuse to end are returned."""
        if self.closing is None:
            self.closing = Closing.ENDED
        self._is_cut = True
        self._stop_timer()
        if self._grace is not None:
            self._grace.cancel()
        root, self._root, self._over = self._root, None, None
        left = {task for task in self._tasks if not task.done()}
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=SETTLE_SECONDS)
        return [*left, *([root] if root is not None and not root.done() else [])]
