"""What a workflow sees: `Step`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, overload
from uuid import UUID

from stepwell.codec import Codec, codec_for, digest
from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.core.model import Kind, NewCheckpoint
from stepwell.core.replay import checked_name, derived_random, derived_uuid
from stepwell.core.retry import Retry
from stepwell.errors import Diverged, InvalidOption
from stepwell.runtime import attempts, mapping, transacting
from stepwell.runtime.attempts import Call
from stepwell.runtime.context import current_step
from stepwell.runtime.functions import NO_OPTIONS, StepOptions, defaults_of, duration_option, shape_of
from stepwell.runtime.passes import Key, Pass

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_TIME: Codec[datetime] = codec_for(datetime)


class Step:
    """The durable calls of one execution.

    A call whose outcome is stored answers it at once; the first that has none runs, and its outcome is stored before it
    returns. What a call returns is what its stored form decodes to, on the first pass as on every later one.
    """

    __slots__ = ("_options", "_pass")

    def __init__(self, pass_: Pass, options: StepOptions = NO_OPTIONS) -> None:
        self._pass, self._options = pass_, options

    def __call__(self, *, retry: Retry | None = None, timeout: DurationLike | None = None) -> Step:
        """The same, with options for the calls made through it. `timeout` is that of one attempt."""
        limit = duration_option("timeout", timeout)
        return Step(self._pass, StepOptions(None, retry or self._options.retry, limit or self._options.timeout))

    @overload
    async def run(
        self, name: str, function: Callable[..., Awaitable[R]], /, *args: Any, was: str, **kwargs: Any
    ) -> R: ...
    @overload
    async def run(self, name: str, function: Callable[..., R], /, *args: Any, was: str, **kwargs: Any) -> R: ...
    @overload
    async def run(self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def run(self, name: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The result of `function(*args, **kwargs)`, an atomic step: run and stored once.

        An async function runs on the event loop, any other in a thread. Without a name the function must have one by
        `@stepwell.step`. A name used again gets an ordinal (fetch#2). `was` is the name that the step had before.
        Raises StepFailed when all attempts failed, on every pass.
        """
        name, function, args = _named(name, args)
        key = self._pass.key(name, kwargs.pop("was", None))
        return await attempts.run(self._pass, self._call(key, Kind.STEP, function, args, kwargs))

    @overload
    async def map(
        self, name: str, function: Callable[[T], Awaitable[R]], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    @overload
    async def map(
        self, name: str, function: Callable[[T], R], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    async def map(
        self, name: str, function: Callable[[T], Any], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[Any]:
        """The results of `function(item)` for every item, in their order; each item is stored by itself.

        At most `concurrency` items run at once. A pass that was cut goes on with the items that are not stored. Once an
        item has used up its attempts no more are begun, and when those under way have ended, its StepFailed is raised.
        """
        key = self._pass.key(name)
        call = self._call(key, Kind.ITEM, function, (), {})
        return await mapping.run(self._pass, call, items, concurrency=concurrency)

    @overload
    async def transaction(
        self, name: str, function: Callable[Concatenate[Any, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def transaction(
        self, name: str, function: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    async def transaction(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The result of `function(connection, *args, **kwargs)`, whose writes and checkpoint commit as one.

        The connection is one of the engine's database: a psycopg.AsyncConnection for an async function, a
        psycopg.Connection (used in a thread) for any other. The function must not commit; what it wrote is rolled back
        when it raises.
        """
        key = self._pass.key(name)
        call = self._call(key, Kind.TRANSACTION, function, args, kwargs)
        return await attempts.run(self._pass, call, transacting.body)

    async def sleep(self, name: str, duration: DurationLike) -> None:
        """Return after the duration ("24h", a timedelta), counted from when it was first asked for.

        A long sleep holds no memory, thread or connection.
        """
        try:
            length = parse_duration(duration)
        except InvalidDuration as error:
            raise InvalidOption(f"sleep '{name}': {error}") from None
        key = self._pass.key(checked_name(name, "a sleep"))
        await self._sleep(key, digest((length,), {}), lambda: self._pass.now() + length)

    async def sleep_until(self, name: str, at: datetime) -> None:
        """Return at that time, at once if it has passed. The time must say its zone."""
        if at.tzinfo is None:
            raise InvalidOption(f"sleep '{name}': {at!r} has no time zone; say which, as in datetime.now(UTC)")
        key = self._pass.key(checked_name(name, "a sleep"))
        await self._sleep(key, digest((at,), {}), lambda: at.astimezone(UTC))

    async def now(self) -> datetime:
        """The time (UTC) when this call was first made; the same on every pass."""
        key = self._pass.key("now")
        return await self._recorded(key, Kind.VALUE, 0, self._pass.now)

    def uuid(self) -> UUID:
        """A random UUID, the same on every pass."""
        return derived_uuid(self._pass.id, self._pass.key("uuid"))

    def random(self) -> float:
        """A random number, 0 <= x < 1, the same on every pass."""
        return derived_random(self._pass.id, self._pass.key("random"))

    @property
    def execution_id(self) -> UUID:
        """The execution these calls belong to."""
        return self._pass.id

    @property
    def idempotency_key(self) -> str:
        """Inside a step: its key for systems that take one, the same for all its attempts, unlike any other step's."""
        return current_step().idempotency_key

    def _call(
        self, key: Key, kind: Kind, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call:
        asked, declared, shape = self._options, defaults_of(function), shape_of(function)
        if (replaced := self._pass.around.replaced) is not None:
            function = replaced(key, function)
            shape = shape._replace(is_async=shape_of(function).is_async)  # its result is still that of the real one
        return Call(
            key,
            kind,
            function,
            shape,
            asked.retry or declared.retry or self._pass.retry,
            asked.timeout or declared.timeout,
            args,
            kwargs,
            digest(args, kwargs),
        )

    async def _sleep(self, key: Key, arguments: int, wake_at: Callable[[], datetime]) -> None:
        until = await self._recorded(key, Kind.SLEEP, arguments, wake_at)
        await self._pass.wait_until(until, f"timer '{key}'")

    async def _recorded(self, key: Key, kind: Kind, arguments: int, make: Callable[[], datetime]) -> datetime:
        """The time stored under this key; made and stored on the first pass."""
        try:
            stored = self._pass.replay.stored(key, kind)
        except Diverged as error:
            await self._pass.diverge(error)
        if stored is None:
            await self._pass.begin_work(key)
            try:
                value, at = _TIME.encode(make())
                await self._pass.store(NewCheckpoint(self._pass.id, key, kind, arguments, value))
            finally:
                self._pass.leave()
            return at
        await asyncio.sleep(0)  # as in attempts.run
        until = _TIME.decode(stored.value)
        if kind is Kind.SLEEP and stored.digest != arguments and until > self._pass.now():
            await self._pass.diverge(
                Diverged(step=key, expected=f"a sleep until {until:%Y-%m-%d %H:%M:%S}Z", met="another")
            )
        return until


def _named(name: Any, args: tuple[Any, ...]) -> tuple[str, Callable[..., Any], tuple[Any, ...]]:
    """(name, function, its arguments) of `run("name", function, ...)` or `run(function, ...)`."""
    if isinstance(name, str):
        if not args or not callable(args[0]):
            raise InvalidOption(f"step '{name}': its second argument must be the function to run")
        return name, args[0], args[1:]
    if not callable(name):
        raise InvalidOption(f"step.run takes a name and a function, not {name!r:.100}")
    default = defaults_of(name).name
    if default is None:
        raise InvalidOption(f"{name!r:.100} has no name as a step: decorate it with @stepwell.step or give one first")
    return default, name, args
