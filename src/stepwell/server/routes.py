"""Routes as data: what each takes, gives and needs. The server answers by them, and OpenAPI describes them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from stepwell.app.application import App
from stepwell.core.tokens import Scope
from stepwell.errors import StepwellError
from stepwell.server.bodies import BODY_BYTES
from stepwell.server.presence import Presence

T = TypeVar("T")

Function = Callable[..., Awaitable[Any]]


class Call(NamedTuple):
    """What a function of a route gets with every request."""

    app: App
    by: str
    root: str
    headers: Mapping[str, str]
    presence: Presence
    callback: str | None = None  # where vendors send browsers back to, if that is known


class Answer(Generic[T]):
    """An answer with another status than the route's usual one, or with headers."""

    def __init__(self, value: T, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.value, self.status, self.headers = value, status, headers or {}


class Header(NamedTuple):
    """A header that a route understands."""

    name: str
    description: str
    min_length: int = 0


@dataclass(frozen=True)
class Route:
    """One method of one path. What it takes and gives is said by the annotations of its function.

    `query` and `body` are parameters of those names; others but `call` are parts of the path. `statuses` are those of
    success, `errors` what the engine may refuse.
    """

    method: str
    path: str
    scope: Scope
    function: Function
    statuses: tuple[int, ...] = (200,)
    errors: tuple[type[StepwellError], ...] = ()
    headers: tuple[Header, ...] = ()
    answer_headers: tuple[Header, ...] = ()
    max_body: int = BODY_BYTES
    media_type: str = "application/json"
    query: type[msgspec.Struct] | None = field(init=False, default=None)
    body: Any = field(init=False, default=None)
    needs_body: bool = field(init=False, default=False)
    parts: Mapping[str, Any] = field(init=False, default_factory=dict)
    gives: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.function, include_extras=True)
        gives = hints.pop("return")
        hints.pop("call")
        default = inspect.Parameter.empty
        if "body" in hints:
            default = inspect.signature(self.function).parameters["body"].default
        object.__setattr__(self, "gives", get_args(gives)[0] if get_origin(gives) is Answer else gives)
        object.__setattr__(self, "query", hints.pop("query", None))
        object.__setattr__(self, "needs_body", "body" in hints and default is inspect.Parameter.empty)
        object.__setattr__(self, "body", hints.pop("body", None))
        object.__setattr__(self, "parts", hints)

    @property
    def name(self) -> str:
        """Its operation id."""
        return str(self.function.__name__).rstrip("_")
