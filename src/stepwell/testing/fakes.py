"""What runs in the place of the functions of steps and workflows, and a record of which steps' bodies ran."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stepwell.errors import InvalidOption
from stepwell.running import current_step
from stepwell.runtime.functions import shape_of
from stepwell.runtime.registry import Registry, Workflow


class Fake:
    """Stands for the function of every step of a name, or of a workflow. `calls` has the arguments of each call.

    Those of a step are its positional ones, those of a workflow are its input.
    """

    def __init__(self, name: str, outcomes: tuple[Any, ...]) -> None:
        if not outcomes:
            raise InvalidOption(f"fake '{name}' needs an outcome: a value, a function or an exception")
        self.name, self._outcomes = name, outcomes
        self.calls: list[tuple[Any, ...]] = []

    @property
    def _is_async(self) -> bool:
        """Whether it may run on the event loop; what a plain function does may block."""
        return all(not callable(one) or _is_exception(one) or shape_of(one).is_async for one in self._outcomes)

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        """What the faked step calls."""
        return self._come_out(current_step().attempt, args, kwargs)

    async def _async_step(self, *args: Any, **kwargs: Any) -> Any:
        value = self._step(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    @property
    def _body(self) -> Callable[..., Any]:
        """What runs in the place of a step's function."""
        return self._async_step if self._is_async else self._step

    def _workflow(self, **input: Any) -> Any:
        """What is called in the place of the workflow's function, without a Step."""
        return self._come_out(1, tuple(input.values()), {})

    async def _async_workflow(self, **input: Any) -> Any:
        value = self._workflow(**input)
        return await value if inspect.isawaitable(value) else value

    def _come_out(self, attempt: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls.append(args)
        outcome = self._outcomes[min(attempt, len(self._outcomes)) - 1]
        if isinstance(outcome, BaseException) or _is_exception(outcome):
            raise outcome
        return outcome(*args, **kwargs) if callable(outcome) else outcome

    def __repr__(self) -> str:
        return f"<Fake of '{self.name}', called {len(self.calls)} times>"


def _is_exception(outcome: Any) -> bool:
    return isinstance(outcome, type) and issubclass(outcome, BaseException)


class Bodies:
    """Decides what runs as the body of each step and workflow, and counts which steps did."""

    def __init__(self) -> None:
        self.fakes: dict[str, Fake] = {}
        self.workflows: dict[str, Fake] = {}
        self.ran: Counter[str] = Counter()

    def fake(self, what: str | Workflow[..., Any], outcomes: tuple[Any, ...]) -> Fake:
        """From now on it is this that runs. Raises InvalidOption."""
        if isinstance(what, str):
            fake = self.fakes[what] = Fake(what, outcomes)
            return fake
        if len(outcomes) > 1:
            raise InvalidOption(f"fake of workflow '{what.id}': give one outcome, a workflow has no attempts")
        fake = self.workflows[what.id] = Fake(what.id, outcomes)
        return fake

    def replaced(self, key: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function that runs in the place of this one: its fake if there is one; either way it is counted."""
        call, is_verify, _ = key.partition("/#verify")
        if is_verify:  # no body of a step, so it is not counted
            fake = self.fakes.get(f"{call}/verify") or self.fakes.get(f"{_name(call)}/verify")
            return function if fake is None else fake._body
        fake = self.fakes.get(key) or self.fakes.get(_name(key))
        body = function if fake is None else fake._body
        return self._async(body) if shape_of(body).is_async else self._plain(body)

    def _async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def body(*args: Any, **kwargs: Any) -> Any:
            self.ran[current_step().name] += 1
            return await function(*args, **kwargs)

        return body

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def body(*args: Any, **kwargs: Any) -> Any:
            self.ran[current_step().name] += 1
            return function(*args, **kwargs)

        return body


class FakedRegistry(Registry):
    """The workflows of an app, some of which are faked."""

    def __init__(self, real: Registry, bodies: Bodies) -> None:
        vars(self).update(vars(real))
        self._bodies = bodies

    def __getitem__(self, name: str) -> Workflow[Any, Any]:
        return self._faked(super().__getitem__(name))

    def version(self, name: str, version: int | None) -> Workflow[Any, Any]:
        """The same, of one version."""
        return self._faked(super().version(name, version))

    def _faked(self, workflow: Workflow[Any, Any]) -> Workflow[Any, Any]:
        fake = self._bodies.workflows.get(workflow.id)
        if fake is None:
            return workflow
        function = fake._async_workflow if fake._is_async else fake._workflow
        return replace(workflow, function=function, is_async=fake._is_async, step_parameter=None)


def _name(key: str) -> str:
    """The name that the workflow gave to a call: that of `first#2/fetch#3` is `fetch`."""
    return key.rpartition("/")[2].partition("#")[0]
