"""The branches of a workflow: its tasks, and what the durable calls made in each are called.

Branches go on in any order, on every pass in another. So that a call has the same key on each, a branch is known by
where it was begun: tasks are counted as the workflow creates them, through the event loop's task factory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from stepwell.core.replay import Scope
from stepwell.running import running_step
from stepwell.runtime.races import BranchTask


class Keeper(Protocol):
    """Who is told of what a workflow's branches do."""

    def own(self, task: asyncio.Task[Any]) -> None:
        """It has begun a task."""

    def refuse_race(self, call: str) -> None:
        """It waits for whichever of its tasks is done first, by this call."""


class Branch:
    """One task of the workflow, or the thread that runs it (`in_thread`: every task made for it is that same branch).

    Its first call counts in the scope of its parent, if it is made before the branch first waits: tasks begin in the
    order of their creation. What it calls later goes under that key (fetch#2/store). A branch that waits first, for
    branches of its own, goes under its number among its parent's (#2/store).
    """

    __slots__ = ("_children", "_has_waited", "_index", "_keeper", "_parent", "_scope", "calls", "in_thread", "is_told")

    def __init__(
        self,
        keeper: Keeper,
        *,
        parent: Branch | None = None,
        index: int = 0,
        scope: Scope | None = None,
        in_thread: bool = False,
    ) -> None:
        self._keeper, self._parent, self._index, self._scope = keeper, parent, index, scope
        self.in_thread = in_thread
        self._children = 0
        self._has_waited = False
        self.calls = 0  # durable calls that run in it now
        self.is_told = False  # it knows that the execution is being cancelled: what it calls now is its clean-up

    def tell(self) -> None:
        """It has been told, and with it those who only wait for its task. One in a call of its own is told by that."""
        branch: Branch | None = self
        while branch is not None and not (branch.calls and branch is not self):
            branch.is_told, branch = True, branch._parent

    def key(self, name: str) -> tuple[str, Scope]:
        """The key of the call being made, and the scope that gave it."""
        if self._scope is None and not self._has_waited and self._parent is not None:
            scope = self._parent.scope()
            key = scope.key(name)
            self._scope = Scope(f"{key}/")
            return key, scope
        scope = self.scope()
        return scope.key(name), scope

    def scope(self) -> Scope:
        if self._scope is None:
            assert self._parent is not None, "the first branch has a scope"
            self._scope = Scope(f"{self._parent.scope().prefix}#{self._index}/")
        return self._scope

    def begin(self, make: Callable[[Context], asyncio.Task[Any]], context: Context) -> asyncio.Task[Any]:
        """Make a task of this branch's, known by its number."""
        if self.in_thread:
            task = make(context)
        else:
            self._children += 1
            child = Branch(self._keeper, parent=self, index=self._children)
            child.is_told = self.is_told
            context.run(_branch.set, child)
            task = make(context)
            task.get_loop().call_soon(child._waits)  # runs right after the task's first stretch
        if isinstance(task, BranchTask):
            task.refuse = self._keeper.refuse_race
        self._keeper.own(task)
        return task

    def _waits(self) -> None:
        self._has_waited = True


_branch: ContextVar[Branch | None] = ContextVar("stepwell_branch", default=None)


def current_branch() -> Branch | None:
    """The branch in which the caller runs."""
    return _branch.get()


def begin_workflow(keeper: Keeper, *, in_thread: bool) -> None:
    """Make the current context the workflow's first branch."""
    _branch.set(Branch(keeper, scope=Scope(), in_thread=in_thread))


def begin_alone(keeper: Keeper) -> Branch:
    """The same, for a branch that is told nothing any more."""
    branch = Branch(keeper, scope=Scope())
    branch.is_told = True
    _branch.set(branch)
    return branch


@contextmanager
def outside_the_workflow() -> Iterator[None]:
    """Tasks made within are the engine's: whether it makes any differs from pass to pass."""
    token = _branch.set(None)
    try:
        yield
    finally:
        _branch.reset(token)


class _Factory:
    """A task factory that counts the workflows' tasks, and leaves the making to whoever made them before."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.users = 0

    def __call__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        given: Context | None = options.pop("context", None)
        look = given.get if given is not None else _current
        branch = look(_branch)
        if branch is None or look(running_step) is not None:
            return self._make(asyncio.Task, loop, work, {**options, "context": given} if given else options)
        return branch.begin(
            lambda context: self._make(BranchTask, loop, work, {**options, "context": context}), given or copy_context()
        )

    def _make(
        self,
        kind: type[asyncio.Task[Any]],
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        options: dict[str, Any],
    ) -> asyncio.Task[Any]:
        made: asyncio.Task[Any] = (
            self.before(loop, work, **options) if self.before else kind(work, loop=loop, **options)
        )
        return made


def _current(variable: ContextVar[Any]) -> Any:
    return variable.get()


_factories: WeakKeyDictionary[asyncio.AbstractEventLoop, _Factory] = WeakKeyDictionary()


@contextmanager
def counted_tasks() -> Iterator[None]:
    """While the block runs, the tasks that workflows create on this event loop are counted."""
    loop = asyncio.get_running_loop()
    factory = _factories.get(loop)
    if factory is None:
        factory = _factories[loop] = _Factory(loop.get_task_factory())
        loop.set_task_factory(cast(Any, factory))
    factory.users += 1
    try:
        yield
    finally:
        factory.users -= 1
        if not factory.users:
            del _factories[loop]
            current: object = loop.get_task_factory()
            if current is factory:  # else somebody has put theirs around ours, which now only passes on
                loop.set_task_factory(factory.before)
