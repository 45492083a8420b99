"""What runs in the place of steps' functions, and a record of which bodies ran."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from stepwell.errors import InvalidOption
from stepwell.runtime.context import current_step
from stepwell.runtime.functions import shape_of


class Fake:
    """Stands for the function of every step of a name. `calls` has the positional arguments of each call."""

    def __init__(self, name: str, outcomes: tuple[Any, ...]) -> None:
        if not outcomes:
            raise InvalidOption(f"fake '{name}' needs an outcome: a value, a function or an exception")
        self.name, self._outcomes = name, outcomes
        self.calls: list[tuple[Any, ...]] = []

    @property
    def _is_async(self) -> bool:
        """Whether it may run on the event loop; what a plain function does may block."""
        return all(not callable(one) or _is_exception(one) or shape_of(one).is_async for one in self._outcomes)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        """What the faked step calls."""
        self.calls.append(args)
        outcome = self._outcomes[min(current_step().attempt, len(self._outcomes)) - 1]
        if isinstance(outcome, BaseException) or _is_exception(outcome):
            raise outcome
        return outcome(*args, **kwargs) if callable(outcome) else outcome

    def __repr__(self) -> str:
        return f"<Fake of step '{self.name}', called {len(self.calls)} times>"


def _is_exception(outcome: Any) -> bool:
    return isinstance(outcome, type) and issubclass(outcome, BaseException)


class Bodies:
    """Decides what runs as the body of each step, and counts which did."""

    def __init__(self) -> None:
        self.fakes: dict[str, Fake] = {}
        self.ran: Counter[str] = Counter()

    def replaced(self, key: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function that runs in the place of this one: its fake if there is one; either way it is counted."""
        fake = self.fakes.get(key) or self.fakes.get(_name(key))
        is_async = shape_of(function).is_async if fake is None else fake._is_async
        body = function if fake is None else fake._call
        return self._async(body) if is_async else self._plain(body)

    def _async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def body(*args: Any, **kwargs: Any) -> Any:
            self.ran[current_step().name] += 1
            value = function(*args, **kwargs)
            return await value if inspect.isawaitable(value) else value

        return body

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def body(*args: Any, **kwargs: Any) -> Any:
            self.ran[current_step().name] += 1
            return function(*args, **kwargs)

        return body


def _name(key: str) -> str:
    """The name that the workflow gave to a call: that of `first#2/fetch#3` is `fetch`."""
    return key.rpartition("/")[2].partition("#")[0]
