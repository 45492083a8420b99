"""What the engine has to know about a function that a step runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar, overload

from stepwell.codec import Codec, result_codec
from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.core.replay import checked_name
from stepwell.core.retention import RetentionLike, parse_retention
from stepwell.core.retry import Retry
from stepwell.errors import InvalidOption

F = TypeVar("F", bound=Callable[..., Any])

MAX_SHAPES = 4_096  # remembered; a program that makes functions on the fly must not fill the memory

_HOST = re.compile(r"[a-zA-Z0-9*.\-\[\]:_]{1,253}")

_DEFAULTS = "__stepwell_step__"


class StepOptions(NamedTuple):
    """How a step runs; None means that somebody else decides: the function's defaults, then the workflow."""

    name: str | None = None
    retry: Retry | None = None
    timeout: timedelta | None = None


NO_OPTIONS = StepOptions()


class Shape(NamedTuple):
    """Whether a function is async, and the codec of what it returns."""

    is_async: bool
    codec: Codec[Any]


@overload
def step(function: F, /) -> F: ...
@overload
def step(
    *, name: str | None = None, retry: Retry | None = None, timeout: DurationLike | None = None
) -> Callable[[F], F]: ...
def step(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: DurationLike | None = None,
) -> Any:
    """Give a function a default name (its own, with dashes) and defaults for whenever a step runs it.

    The function itself is unchanged and can be called as before. Raises InvalidOption.
    """
    if function is not None and not callable(function):
        raise InvalidOption(f"{function!r:.100} is no function; give options by name: @stepwell.step(name=...)")

    def declare(function: F) -> F:
        chosen = getattr(function, "__name__", "step").replace("_", "-") if name is None else name
        options = StepOptions(checked_name(chosen), retry_option(retry), duration_option("timeout", timeout))
        setattr(function, _DEFAULTS, options)
        return function

    return declare if function is None else declare(function)


def retry_option(value: Retry | None) -> Retry | None:
    """The policy an option was given. Raises InvalidOption."""
    if value is not None and not isinstance(value, Retry):
        raise InvalidOption(f"retry is {value!r:.100}; write it like Retry(max_attempts=5)")
    return value


def retention_option(value: RetentionLike | None) -> timedelta | None:
    """How long a workflow's executions are kept; None: forever. Raises InvalidOption."""
    try:
        return parse_retention(value)
    except InvalidDuration as error:
        raise InvalidOption(f"retention: {error}") from None


def egress_option(hosts: Sequence[str] | None) -> tuple[str, ...] | None:
    """The hosts that a workflow's connectors may reach; None: any. Raises InvalidOption."""
    if hosts is None:
        return None
    if isinstance(hosts, str) or not all(isinstance(host, str) and _HOST.fullmatch(host) for host in hosts):
        raise InvalidOption(f'egress: {hosts!r:.200} is no list of hosts; write ["api.example.com", "*.example.org"]')
    return tuple(host.lower() for host in hosts)


def duration_option(option: str, value: DurationLike | None) -> timedelta | None:
    """The duration an option was given. Raises InvalidOption unless it is longer than nothing."""
    if value is None:
        return None
    try:
        duration = parse_duration(value)
    except InvalidDuration as error:
        raise InvalidOption(f"{option}: {error}") from None
    if not duration:
        raise InvalidOption(f"{option}: {value!r} is no time at all")
    return duration


def defaults_of(function: Callable[..., Any]) -> StepOptions:
    """What `@stepwell.step` said of the function."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, _DEFAULTS, NO_OPTIONS)


_shapes: dict[tuple[Any, Any], Shape] = {}


def is_workflow(function: object) -> bool:
    """Whether it is a registered workflow, which knows itself by its input's codec."""
    return hasattr(function, "step_parameter") and hasattr(function, "input")


def shape_of(function: Callable[..., Any]) -> Shape:
    """Found out once: a lambda is a new object on every pass, but its code and annotation are not.

    Raises InvalidOption when it is no function, or nothing that it returns could be stored.
    """
    try:
        identity = (function.__code__, function.__annotations__.get("return"))
        if (known := _shapes.get(identity)) is not None:
            return known
    except (AttributeError, TypeError):  # a callable object, or an annotation that cannot be hashed
        return _shape(function)
    shape = _shape(function)
    if len(_shapes) < MAX_SHAPES:
        _shapes[identity] = shape
    return shape


def _shape(function: Any) -> Shape:
    if is_workflow(function):
        return Shape(is_async=True, codec=function.output)
    if not callable(function):
        raise InvalidOption(f"{function!r:.100} is no function that a step could run")
    return Shape(is_async_function(function), result_codec(function))


def is_async_function(function: Any) -> bool:
    """Whether what it returns is to be awaited."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def in_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call it. A StopIteration becomes the RuntimeError that it is in a coroutine: no future can carry it."""
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error
