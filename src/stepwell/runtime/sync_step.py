"""`Step` for workflows that are plain functions: a bridge to the event loop, without logic of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import CancelledError
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload
from uuid import UUID

from stepwell.core.duration import DurationLike
from stepwell.core.model import Sent
from stepwell.core.retry import Retry
from stepwell.errors import InvalidOption
from stepwell.inputs import NOTHING
from stepwell.running import running_step
from stepwell.runtime.children import ChildCall
from stepwell.runtime.effects import Repeat
from stepwell.runtime.firsts import AnyWait, First, TimerWait
from stepwell.runtime.passes import Suspend
from stepwell.runtime.step import AnyWorkflow, Step
from stepwell.runtime.topics import EventWait

if TYPE_CHECKING:
    from stepwell.runtime.registry import Workflow

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncStep:
    """The durable calls of one execution whose workflow is not async. Each does what Step's of the same name does."""

    __slots__ = ("_loop", "_step")

    def __init__(self, step: Step, loop: asyncio.AbstractEventLoop) -> None:
        self._step, self._loop = step, loop

    def __call__(self, *, retry: Retry | None = None, timeout: DurationLike | None = None) -> SyncStep:
        """See Step."""
        return SyncStep(self._step(retry=retry, timeout=timeout), self._loop)

    @overload
    def run(self, name: str, function: Callable[..., Awaitable[R]], /, *args: Any, was: str, **kwargs: Any) -> R: ...
    @overload
    def run(self, name: str, function: Callable[..., R], /, *args: Any, was: str, **kwargs: Any) -> R: ...
    @overload
    def run(self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def run(self, name: Any, /, *args: Any, **kwargs: Any) -> Any:
        """See Step.run."""
        return self._await(self._step.run(name, *args, **kwargs))

    @overload
    def map(
        self, name: str, function: Workflow[..., R], items: Iterable[Any], /, *, concurrency: int = 20
    ) -> list[R]: ...
    @overload
    def map(
        self, name: str, function: Callable[[T], Awaitable[R]], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    @overload
    def map(
        self, name: str, function: Callable[[T], R], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    def map(self, name: str, function: Any, items: Iterable[Any], /, *, concurrency: int = 20) -> list[Any]:
        """See Step.map."""
        return self._await(self._step.map(name, function, items, concurrency=concurrency))

    @overload
    def transaction(
        self, name: str, function: Callable[Concatenate[Any, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def transaction(
        self, name: str, function: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    def transaction(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See Step.transaction."""
        return self._await(self._step.transaction(name, function, *args, **kwargs))

    @overload
    def effect(
        self,
        name: str,
        do: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        verify: Callable[[str], Awaitable[R | Repeat]] | Callable[[str], R | Repeat],
        **kwargs: Any,
    ) -> R: ...
    @overload
    def effect(
        self,
        name: str,
        do: Callable[..., R],
        /,
        *args: Any,
        verify: Callable[[str], Awaitable[R | Repeat]] | Callable[[str], R | Repeat],
        **kwargs: Any,
    ) -> R: ...
    @overload
    def effect(self, name: str, do: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def effect(self, name: str, do: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def effect(self, name: str, do: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See Step.effect."""
        return self._await(self._step.effect(name, do, *args, **kwargs))

    def compensate_with(self, name: str, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """See Step.compensate_with."""
        self._await(_soon(partial(self._step.compensate_with, name, function, *args, **kwargs)))

    def sleep(self, name: str, duration: DurationLike) -> None:
        """See Step.sleep."""
        self._await(self._step.sleep(name, duration))

    def sleep_until(self, name: str, at: datetime) -> None:
        """See Step.sleep_until."""
        self._await(self._step.sleep_until(name, at))

    @overload
    def wait_for_event(
        self,
        name: str,
        *,
        type: type[T],
        event: str | None = None,
        key: str | None = None,
        timeout: DurationLike | datetime | None = None,
        since: datetime | DurationLike | None = None,
    ) -> T | None: ...
    @overload
    def wait_for_event(
        self,
        name: str,
        *,
        event: str | None = None,
        key: str | None = None,
        timeout: DurationLike | datetime | None = None,
        since: datetime | DurationLike | None = None,
    ) -> Any: ...
    def wait_for_event(
        self,
        name: str,
        *,
        type: Any = Any,
        event: str | None = None,
        key: str | None = None,
        timeout: DurationLike | datetime | None = None,
        since: datetime | DurationLike | None = None,
    ) -> Any:
        """See Step.wait_for_event."""
        call = self._step.wait_for_event(name, type=type, event=event, key=key, timeout=timeout, since=since)
        return self._await(call)

    def first(self, name: str, /, **waits: AnyWait) -> First:
        """See Step.first."""
        return self._await(self._step.first(name, **waits))

    def event(
        self,
        event: str,
        *,
        key: str | None = None,
        type: Any = Any,
        since: datetime | DurationLike | None = None,
    ) -> EventWait:
        """See Step.event."""
        return self._step.event(event, key=key, type=type, since=since)

    def timer(self, length: DurationLike | datetime) -> TimerWait:
        """See Step.timer."""
        return self._step.timer(length)

    def child(self, workflow: AnyWorkflow, input: Any = NOTHING) -> ChildCall:
        """See Step.child."""
        return self._step.child(workflow, input)

    @overload
    def call(self, name: str, workflow: Workflow[..., R], input: Any = NOTHING) -> R: ...
    @overload
    def call(self, name: str, workflow: str, input: Any = NOTHING) -> Any: ...
    def call(self, name: str, workflow: AnyWorkflow, input: Any = NOTHING) -> Any:
        """See Step.call."""
        return self._await(self._step.call(name, workflow, input))

    def start(self, name: str, workflow: AnyWorkflow, input: Any = NOTHING, *, tags: Sequence[str] = ()) -> UUID:
        """See Step.start."""
        return self._await(self._step.start(name, workflow, input, tags=tags))

    def send_event(
        self,
        name: str,
        payload: Any = None,
        *,
        event: str | None = None,
        key: str | None = None,
        to: UUID | None = None,
        id: str | None = None,
    ) -> Sent:
        """See Step.send_event."""
        return self._await(self._step.send_event(name, payload, event=event, key=key, to=to, id=id))

    def callback_url(
        self, name: str, *, type: Any = Any, expires: DurationLike | datetime = "7d", prompt: str | None = None
    ) -> str:
        """See Step.callback_url."""
        return self._await(self._step.callback_url(name, type=type, expires=expires, prompt=prompt))

    def now(self) -> datetime:
        """See Step.now."""
        return self._await(self._step.now())

    def uuid(self) -> UUID:
        """See Step.uuid."""
        return self._await(_soon(self._step.uuid))

    def random(self) -> float:
        """See Step.random."""
        return self._await(_soon(self._step.random))

    def patched(self, patch: str) -> bool:
        """See Step.patched."""
        return self._await(_soon(partial(self._step.patched, patch)))

    @property
    def execution_id(self) -> UUID:
        """See Step.execution_id."""
        return self._step.execution_id

    @property
    def idempotency_key(self) -> str:
        """See Step.idempotency_key."""
        return self._step.idempotency_key

    def _await(self, call: Coroutine[Any, Any, T]) -> T:
        """Run it on the event loop, in this thread's context, so that it knows its branch."""
        if running_step.get() is not None:  # perhaps on the event loop itself, which must not wait for itself
            call.close()
            raise InvalidOption("a durable call is made inside a step; steps do not nest, call it from the workflow")
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except CancelledError:
            raise Suspend from None


async def _soon(call: Callable[[], T]) -> T:
    return call()
