"""Races between a workflow's branches. Whichever is done first is another one on another pass, so they are refused.

A branch is done as soon as its durable calls are answered: on the first pass when their work is, on later ones at once,
in the order of their creation. Code that waits for "the first" cannot know the difference, and arguments show it only
where the winner is handed on. So asking is what counts: `asyncio.wait` and `as_completed` ask a task to be called back.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

_ORDER = ("as_completed.<locals>._on_completion", "_AsCompletedIterator._handle_completion")  # until 3.12, since 3.13
_WAIT = "_wait.<locals>._on_completion"


class BranchTask(asyncio.Task[Any]):
    """A task of a workflow; `refuse` is called with the name of what asks for whichever is done first."""

    refuse: Callable[[str], None] | None = None

    def add_done_callback(self, callback: Callable[[Any], object], /, **options: Any) -> None:
        if self.refuse is not None and (name := _race(callback)) is not None:
            self.refuse(name)
        super().add_done_callback(callback, **options)


def _race(callback: Callable[..., object]) -> str | None:
    """The call by which it was given, if that is a race. To wait until all are done, for however long, is none."""
    if getattr(callback, "__module__", None) != "asyncio.tasks":
        return None
    name = getattr(callback, "__qualname__", "")
    if name in _ORDER:
        return "asyncio.as_completed"
    return "asyncio.wait" if name == _WAIT and _is_for_the_first(callback) else None


def _is_for_the_first(callback: Callable[..., object]) -> bool:
    given = inspect.getclosurevars(callback).nonlocals
    return given.get("return_when") != asyncio.ALL_COMPLETED or given.get("timeout_handle") is not None
