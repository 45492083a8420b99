"""What starts executions without anybody asking, as a workflow declares it: `@app.workflow(trigger=every("1h"))`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar

from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.core.schedule import CatchUp, Overlap, Policy
from stepwell.core.timing import Cron, Every, Timing
from stepwell.core.webhooks import Found
from stepwell.errors import InvalidOption

MAX_PATTERN_LENGTH = 400  # as long as an event's name may be

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")
Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class ScheduleTrigger:
    """Starts an execution at each tick. `id` is None for the workflow's own name."""

    timing: Timing
    policy: Policy = field(default_factory=Policy)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item, Position]):
    """What a poll has found: new items, and the cursor to go on from. `has_more`: ask again at once."""

    items: list[Item]
    cursor: Position
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class PollTrigger:
    """Looks for new items at each tick of a schedule. `id` is None for the workflow's own name and `.poll`."""

    function: Callable[..., Any]
    schedule: ScheduleTrigger
    key: Callable[[Any], str] | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class OnEventTrigger:
    """Starts an execution for each event whose name matches. `id` is None for the workflow's own name."""

    pattern: str
    where: Callable[[Any], bool] | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Asks the vendor at each tick of a schedule for the events whose webhooks were lost.

    `find` is given the cursor of the look before, None the first time.
    """

    find: Callable[[str | None], Awaitable[Found]]
    schedule: ScheduleTrigger


@dataclass(frozen=True, slots=True)
class WebhookTrigger:
    """Starts an execution for each delivery of a source whose type matches. `id` is None for the workflow's own name.

    `connection` is None for every connection of that source.
    """

    source: str
    types: tuple[str, ...]
    connection: str | None = None
    id: str | None = None
    reconcile: Reconcile | None = None


Trigger = ScheduleTrigger | PollTrigger | OnEventTrigger | WebhookTrigger


def every(
    interval: DurationLike,
    *,
    catch_up: str = "last",
    max_catch_up: int = 100,
    overlap: str | None = None,
    jitter: DurationLike | None = None,
    id: str | None = None,
) -> ScheduleTrigger:
    """Start an execution at every multiple of the interval since 1970 (UTC): `every("1h")` starts one on the hour.

    `catch_up` says what becomes of ticks missed because no worker was there: "none", "last" or "all" (the latest
    `max_catch_up`). `overlap` says what becomes of a tick while an execution of the schedule has not ended: "skip",
    "queue", "allow" or "replace"; by default "skip", and "queue" with catch_up="all". Executions are spread over
    `jitter`. `id` names the schedule, by default as the workflow. Raises InvalidOption.
    """
    timing = Every(_duration("every", interval))
    return ScheduleTrigger(timing, _policy(catch_up, max_catch_up, overlap, jitter), id)


def cron(
    expression: str,
    *,
    tz: str = "UTC",
    catch_up: str = "last",
    max_catch_up: int = 100,
    overlap: str | None = None,
    jitter: DurationLike | None = None,
    id: str | None = None,
) -> ScheduleTrigger:
    """Start an execution at the wall-clock times of a cron expression (five fields) in the IANA time zone `tz`.

    On the day on which an hour comes twice each time still comes once, and what falls into an hour that is left out
    comes when that would have ended; with `*` for the hour, ticks go by elapsed time instead. The other options are
    those of `every`. Raises InvalidOption.
    """
    timing = Cron(expression, tz)
    timing.check()
    return ScheduleTrigger(timing, _policy(catch_up, max_catch_up, overlap, jitter), id)


def poll(
    function: Callable[..., Any],
    *,
    every: DurationLike,
    key: Callable[[Any], str] | None = None,
    jitter: DurationLike | None = None,
    id: str | None = None,
) -> PollTrigger:
    """Call `function(cursor)` at every multiple of the interval, and start an execution for each item of its `Page`.

    The cursor is the one of the page before, stored together with the starts; None the first time. `key` gives an item
    its identity: what has been started once is not started again. `id` names the schedule and the workflow that polls,
    by default as the workflow with `.poll`. Raises InvalidOption.
    """
    if not callable(function):
        raise InvalidOption(f"poll({function!r:.100}): give a function of the cursor that returns a Page")
    timing = Every(_duration("every", every))
    return PollTrigger(function, ScheduleTrigger(timing, _policy("last", 1, "skip", jitter), id=None), key, id)


def on_event(pattern: str, *, where: Callable[[Any], bool] | None = None, id: str | None = None) -> OnEventTrigger:
    """Start an execution for each event of that name, with its payload as the input; `*` stands for any text.

    `where` is asked with the payload (plain JSON values), in the worker: it is to be quick, to answer the same whenever
    it is asked, and to touch nothing. `id` names the trigger, by default as the workflow. Raises InvalidOption.
    """
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_PATTERN_LENGTH or "\0" in pattern:
        raise InvalidOption(f"on_event({pattern!r:.100}): give the name of events, such as 'order.*'")
    if where is not None and (not callable(where) or iscoroutinefunction(where)):
        raise InvalidOption(f"on_event({pattern!r}): where={where!r:.100} is no plain function of the payload")
    return OnEventTrigger(pattern, where, id)


def reconcile(find: Callable[[str | None], Awaitable[Found]], *, every: DurationLike) -> Reconcile:
    """Let `find` look for lost events at every multiple of the interval since 1970. Raises InvalidOption."""
    timing = Every(_duration("reconcile", every))
    return Reconcile(find, ScheduleTrigger(timing, _policy("last", 1, "skip", None), id=None))


def webhook(
    source: str, types: str | Sequence[str] = "*", *, connection: str | None = None, id: str | None = None
) -> WebhookTrigger:
    """Start an execution for each verified delivery to `/hooks/{source}` of these types; `*` stands for any text.

    `types` are those of the vendor ("orders/create", "workitem.*"). With `connection`, only deliveries of that one. The
    workflow's parameter annotated as WebhookEvent gets the delivery. `id` names the trigger, by default as the
    workflow. Raises InvalidOption.
    """
    patterns = (types,) if isinstance(types, str) else tuple(types)
    if not isinstance(source, str) or not source:
        raise InvalidOption(f"webhook({source!r:.100}): name a source, such as 'shopify'")
    for pattern in patterns:
        if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_PATTERN_LENGTH or "\0" in pattern:
            raise InvalidOption(f"webhook('{source}', {pattern!r:.100}): give types of deliveries, such as 'orders/*'")
    if not patterns:
        raise InvalidOption(f"webhook('{source}', ()): give at least one type of deliveries, or '*'")
    return WebhookTrigger(source, patterns, connection, id)


def as_triggers(given: Trigger | Sequence[Trigger] | None) -> tuple[Trigger, ...]:
    """The triggers that a workflow was given: none, one or several. Raises InvalidOption."""
    triggers = () if given is None else tuple(given) if isinstance(given, Sequence) else (given,)
    for trigger in triggers:
        if not isinstance(trigger, Trigger):
            raise InvalidOption(
                f"trigger {trigger!r:.100} is none; use every('1h'), cron('@daily'), on_event('order.*'),"
                " webhook('github') or poll(...)"
            )
    return triggers


def _policy(catch_up: str, max_catch_up: int, overlap: str | None, jitter: DurationLike | None) -> Policy:
    chosen = _choice("catch_up", catch_up, CatchUp)
    default = Overlap.QUEUE if chosen is CatchUp.ALL else Overlap.SKIP
    return Policy(
        chosen,
        max_catch_up,
        default if overlap is None else _choice("overlap", overlap, Overlap),
        timedelta(0) if jitter is None else _duration("jitter", jitter),
    )


def _choice(option: str, value: str, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError:
        known = " or ".join(repr(choice.value) for choice in choices)
        raise InvalidOption(f"{option} is {value!r:.100}, use {known}") from None


def _duration(option: str, value: DurationLike) -> timedelta:
    try:
        return parse_duration(value)
    except InvalidDuration as error:
        raise InvalidOption(f"{option}: {error}") from None
