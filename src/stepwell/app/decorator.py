"""What `@app.workflow(...)` gives before it is put on a function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from stepwell.runtime.registry import Workflow

P = ParamSpec("P")
R = TypeVar("R")


class Decorator:
    """The type of `@app.workflow(...)`: of it both calls below are typed."""

    def __init__(self, register: Callable[[Callable[..., Any]], Workflow[..., Any]]) -> None:
        self._register = register

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Workflow[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        return self._register(function)
