"""What a workflow sees: `Step`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, overload
from uuid import UUID

from stepwell.codec import digest
from stepwell.core.duration import DurationLike, parse_duration
from stepwell.core.model import Kind, Sent
from stepwell.core.replay import checked_name, derived_random, derived_uuid
from stepwell.core.retry import Retry
from stepwell.core.texts import checked_tags
from stepwell.errors import InvalidOption
from stepwell.inputs import NOTHING
from stepwell.running import current_step
from stepwell.runtime import (
    attempts,
    callbacks,
    children,
    effects,
    firsts,
    mapping,
    patches,
    sending,
    transacting,
    undoing,
    waits,
)
from stepwell.runtime.attempts import Call
from stepwell.runtime.children import ChildCall
from stepwell.runtime.effects import Repeat
from stepwell.runtime.firsts import First, TimerWait
from stepwell.runtime.functions import (
    NO_OPTIONS,
    StepOptions,
    defaults_of,
    duration_option,
    is_workflow,
    retry_option,
    shape_of,
)
from stepwell.runtime.passes import Key, Pass
from stepwell.runtime.sending import new_event
from stepwell.runtime.times import end_of, recorded, sleep_until
from stepwell.runtime.topics import EventWait, event_wait

if TYPE_CHECKING:
    from stepwell.runtime.registry import Workflow


AnyWorkflow: TypeAlias = "Workflow[..., Any] | str"

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


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
        chosen, limit = retry_option(retry), duration_option("timeout", timeout)
        return Step(self._pass, StepOptions(None, chosen or self._options.retry, limit or self._options.timeout))

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
        self, name: str, function: Workflow[..., R], items: Iterable[Any], /, *, concurrency: int = 20
    ) -> list[R]: ...
    @overload
    async def map(
        self, name: str, function: Callable[[T], Awaitable[R]], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    @overload
    async def map(
        self, name: str, function: Callable[[T], R], items: Iterable[T], /, *, concurrency: int = 20
    ) -> list[R]: ...
    async def map(self, name: str, function: Any, items: Iterable[Any], /, *, concurrency: int = 20) -> list[Any]:
        """The results of `function(item)` for every item, in their order; each item is stored by itself.

        The function may be a workflow: each item is then the input of a child (see call). At most `concurrency` items
        run at once. A pass that was cut goes on with the items that are not stored. Once an item has used up its
        attempts no more are begun, and when those under way have ended, its StepFailed is raised.
        """
        key = self._pass.key(name)
        is_child = is_workflow(function)
        call = self._call(key, Kind.ITEM, function, (), {})
        return await mapping.run(
            self._pass, call, items, concurrency=concurrency, perform=self._perform_child if is_child else None
        )

    async def _perform_child(self, pass_: Pass, item: Call) -> Any:
        workflow: Any = item.function
        return await children.perform_item(pass_, item, self._child(workflow, item.args[0]))

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

    @overload
    async def effect(
        self,
        name: str,
        do: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        verify: Callable[[str], Awaitable[R | Repeat]] | Callable[[str], R | Repeat],
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def effect(
        self,
        name: str,
        do: Callable[..., R],
        /,
        *args: Any,
        verify: Callable[[str], Awaitable[R | Repeat]] | Callable[[str], R | Repeat],
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def effect(self, name: str, do: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def effect(self, name: str, do: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def effect(self, name: str, do: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The result of `do(*args, **kwargs)`, an effect on another system that is not repeated blindly.

        That it is intended is stored first. When an attempt was cut or has failed, `verify(idempotency_key)` is asked
        before the next one: it returns what the effect made, or REPEAT when it did not happen. Without `verify` an
        attempt that raised counts as not done, and one that was cut waits until an operator says what became of it
        (App.resolve). Raises StepFailed when all attempts failed.
        """
        key = self._pass.key(name)
        verify = kwargs.pop("verify", None)
        if verify is not None and not callable(verify):
            raise InvalidOption(f"effect '{name}': verify is {verify!r:.100}; give a function that looks by the key")
        return await effects.run(self._pass, self._call(key, Kind.EFFECT, do, args, kwargs), verify)

    def compensate_with(self, name: str, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have `function(*args, **kwargs)` run as a step of this name if the workflow does not complete.

        When it fails, is cancelled or runs out of time, what was registered runs in reverse order, each with its
        retries; one that fails leaves the others alone, and the execution names it. Nothing is done now.
        """
        undoing.register(self._pass, self._call(self._pass.key(name), Kind.STEP, function, args, kwargs))

    async def sleep(self, name: str, duration: DurationLike) -> None:
        """Return after the duration ("24h", a timedelta), counted from when it was first asked for.

        A long sleep holds no memory, thread or connection.
        """
        await self._sleep(name, duration)

    async def sleep_until(self, name: str, at: datetime) -> None:
        """Return at that time, at once if it has passed. The time must say its zone. Raises InvalidOption."""
        if not isinstance(at, datetime):
            raise InvalidOption(f"'{name}': {at!r:.100} is no datetime; step.sleep takes a duration")
        await self._sleep(name, at)

    async def _sleep(self, name: str, length: DurationLike | datetime) -> None:
        wake_at = end_of(self._pass, name, length)
        key = self._pass.key(checked_name(name, "a sleep"))
        asked = length if isinstance(length, datetime) else parse_duration(length)
        until = await recorded(self._pass, key, Kind.SLEEP, digest((asked,), {}), wake_at)
        await sleep_until(self._pass, key, until)

    @overload
    async def wait_for_event(
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
    async def wait_for_event(
        self,
        name: str,
        *,
        event: str | None = None,
        key: str | None = None,
        timeout: DurationLike | datetime | None = None,
        since: datetime | DurationLike | None = None,
    ) -> Any: ...
    async def wait_for_event(
        self,
        name: str,
        *,
        type: Any = Any,
        event: str | None = None,
        key: str | None = None,
        timeout: DurationLike | datetime | None = None,
        since: datetime | DurationLike | None = None,
    ) -> Any:
        """The payload of the next event, read as `type`; None when none was sent within `timeout`.

        The event is called `event`, by default like the wait. With a `key` it is any event sent with that key; without
        one, an event sent to this very execution. Each wait of an execution takes the next event, beginning with those
        sent since the execution was accepted, or since a time, or so long before. While it waits it holds nothing.
        Raises StepFailed when the payload does not fit the type: the event counts as taken.
        """
        wait = event_wait(event or name, key=key, type=type, since=since)
        return await waits.event(self._pass, self._pass.key(name), wait, timeout)

    async def first(self, name: str, /, **waits: EventWait | TimerWait | ChildCall) -> First:
        """Which of the waits ends first, and its value; stored once, the same on every pass.

        Waits are made by `step.event`, `step.timer` and `step.child`, and named:
        `await step.first("decision", approved=step.event("approval"), late=step.timer("7d"))`. An event or child that
        comes later stays what it is: the event is there for the next wait, the child is cancelled. Raises StepFailed
        when the first one's payload does not fit its type, ChildFailed when its child failed.
        """
        return await firsts.run(self._pass, self._pass.key(name), waits)

    def event(
        self,
        event: str,
        *,
        key: str | None = None,
        type: Any = Any,
        since: datetime | DurationLike | None = None,
    ) -> EventWait:
        """For `first`: the next event of this name. See wait_for_event."""
        return event_wait(event, key=key, type=type, since=since)

    def timer(self, length: DurationLike | datetime) -> TimerWait:
        """For `first`: a duration, counted from when it is first asked for, or a time."""
        return TimerWait(length)

    def child(self, workflow: AnyWorkflow, input: Any = NOTHING) -> ChildCall:
        """For `first`: the result of a child. See call."""
        return self._child(workflow, input)

    @overload
    async def call(self, name: str, workflow: Workflow[..., R], input: Any = NOTHING) -> R: ...
    @overload
    async def call(self, name: str, workflow: str, input: Any = NOTHING) -> Any: ...
    async def call(self, name: str, workflow: AnyWorkflow, input: Any = NOTHING) -> Any:
        """The result of a child execution, which any worker may run; this one holds nothing while it waits.

        `input` is as in App.start. Cancelling this execution cancels the child. Raises ChildFailed when the child
        failed or was cancelled, InvalidInput.
        """
        asked = self._child(workflow, input)
        return await children.call(self._pass, self._pass.key(name), asked)

    async def start(self, name: str, workflow: AnyWorkflow, input: Any = NOTHING, *, tags: Sequence[str] = ()) -> UUID:
        """The id of a child execution, started once, that goes on by itself. Raises InvalidInput."""
        asked = self._child(workflow, input)._replace(tags=checked_tags(tags))
        return await children.start(self._pass, self._pass.key(name), asked)

    async def send_event(
        self,
        name: str,
        payload: Any = None,
        *,
        event: str | None = None,
        key: str | None = None,
        to: UUID | None = None,
        id: str | None = None,
    ) -> Sent:
        """Send an event, once: to those who wait for it with this `key`, or to the execution `to`. See App.send_event.

        It is called `event`, by default like this call. Raises StepFailed when there is no such execution.
        """
        new = new_event(event or name, payload, key=key, to=to, id=id)
        return await sending.send(self._pass, self._pass.key(name), new, to)

    async def callback_url(
        self, name: str, *, type: Any = Any, expires: DurationLike | datetime = "7d", prompt: str | None = None
    ) -> str:
        """A URL that answers `wait_for_event(name, type=type)` of this execution, once; the same on every pass.

        Whoever opens it gets a page that asks for a `type`, below the `prompt`. It can be answered until it `expires`,
        a duration or a time, or the execution ends. Handle it like a password: whoever has it can answer.
        Raises InvalidOption when nobody has said at which address the server is.
        """
        asked = callbacks.question(self._pass, name, type=type, expires=expires, prompt=prompt)
        return await callbacks.url(self._pass, self._pass.key(f"{name}-url"), asked)

    async def now(self) -> datetime:
        """The time (UTC) when this call was first made; the same on every pass."""
        key = self._pass.key("now")
        return await recorded(self._pass, key, Kind.VALUE, 0, self._pass.now)

    def uuid(self) -> UUID:
        """A random UUID, the same on every pass."""
        return derived_uuid(self._pass.seed, self._pass.key("uuid"))

    def random(self) -> float:
        """A random number, 0 <= x < 1, the same on every pass."""
        return derived_random(self._pass.seed, self._pass.key("random"))

    def patched(self, patch: str) -> bool:
        """Whether this execution is to take the new way: False for those that went past this place before it was there.

        Decided when it is first asked, and stored: it is the same on every pass and wherever in the workflow it is
        asked again. Any text names a patch; one is never used for a second change.
        """
        return patches.patched(self._pass, patch)

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
        if (replaced := self._pass.around.replaced) is not None and not is_workflow(function):
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

    def _child(self, workflow: AnyWorkflow, input: Any) -> ChildCall:
        registry = self._pass.around.registry
        return ChildCall(registry.bound(workflow, input), registry.output(workflow))


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
