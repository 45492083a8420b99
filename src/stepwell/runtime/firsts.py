"""`step.first`: several waits at once, of which the first one that ends is recorded and the others are withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from stepwell.codec import digest
from stepwell.core.duration import DurationLike
from stepwell.core.model import Checkpoint, Child, Event, Kind, NewCheckpoint
from stepwell.core.replay import checked_name
from stepwell.errors import Diverged, InvalidOption
from stepwell.runtime import children
from stepwell.runtime.attempts import step_failed
from stepwell.runtime.branches import outside_the_workflow
from stepwell.runtime.calls import check_digest, durable, recall
from stepwell.runtime.children import ChildCall
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Key, Pass, Wait
from stepwell.runtime.times import end_of, recorded
from stepwell.runtime.topics import EventWait, Outcome, failed_outcome, outcome_of, taken_of, without_event
from stepwell.runtime.waits import decoded
from stepwell.stored_failures import decode_child_failure, failure_of_child


@dataclass(frozen=True, slots=True)
class First:
    """Which of the waits ended first, by the name it was given, and its value: a payload, a result, None of a timer."""

    name: str
    value: Any


class TimerWait(NamedTuple):
    """A wait for a time. Made by `Step.timer`, for `Step.first`."""

    length: DurationLike | datetime

    @property
    def digest(self) -> int:
        """Of what it waits for."""
        return digest((self.length,), {})


AnyWait = EventWait | TimerWait | ChildCall


class _Ended(NamedTuple):
    """A wait that is over: when, and by what. `at` decides which was first, then the order of the waits."""

    at: datetime
    place: int
    label: str
    by: Event | Child | None


@durable
async def run(pass_: Pass, key: Key, waits: Mapping[str, AnyWait]) -> First:
    """The first of the waits to end, the same on every replay. Raises StepFailed when that one failed."""
    if not waits:
        raise InvalidOption(f"first '{key}': give at least one wait by name, as in late=step.timer('7d')")
    for label, wait in waits.items():
        checked_name(label, "a wait")
        if not isinstance(wait, EventWait | TimerWait | ChildCall):
            raise InvalidOption(
                f"first '{key}': {label} is {wait!r:.100}; give what step.event, step.timer or step.child makes"
            )
    found = await recall(pass_, key, Kind.FIRST)
    return await _first(pass_, key, waits) if found is None else _replayed(pass_, key, waits, found)


async def _first(pass_: Pass, key: Key, waits: Mapping[str, AnyWait]) -> First:
    """The first to end, which no earlier pass has seen."""
    timers = {label: wait for label, wait in waits.items() if isinstance(wait, TimerWait)}
    untils = {
        label: await recorded(
            pass_, f"{key}/#{label}", Kind.VALUE, timer.digest, end_of(pass_, f"{key}/{label}", timer.length)
        )
        for label, timer in timers.items()
    }
    await pass_.begin_looking(key)
    try:
        first = await _look(pass_, key, waits, untils)
    finally:
        pass_.leave()
    if first is None:
        told = ", ".join(f"{label} ({_told(wait)})" for label, wait in waits.items())
        await pass_.block(Wait(min(untils.values(), default=None), f"the first of {told}", is_outside=True))
    return first


async def _look(pass_: Pass, key: Key, waits: Mapping[str, AnyWait], untils: Mapping[str, datetime]) -> First | None:
    """What has ended the waits, once it is stored; None: nothing yet."""
    now = pass_.now()  # before the looks: an event that they do not see is sent after this
    states = await _states(pass_, key, waits, min(untils.values(), default=None))
    ended = [
        _Ended(at, place, label, states[label])
        for place, label in enumerate(waits)
        if (at := _end(states[label]) or _passed(untils.get(label), now)) is not None
    ]
    if not ended:
        return None
    winner = min(ended, key=lambda one: one[:2])
    outcome = _outcome(pass_, winner, waits[winner.label])
    row = NewCheckpoint(
        pass_.id, key, Kind.FIRST, _digest(winner.label, waits[winner.label]), outcome.stored, outcome.is_failure
    )
    await pass_.store(row)
    await _withdraw(pass_, states, winner)
    return _read(key, waits, row.is_failure, row.value)


async def _states(
    pass_: Pass, key: Key, waits: Mapping[str, AnyWait], until: datetime | None
) -> dict[str, Event | Child | None]:
    """What has come for each of the waits, and has not been taken by another branch meanwhile."""
    states: dict[str, Event | Child | None] = {}
    asked = list(waits)
    events = [wait for wait in waits.values() if isinstance(wait, EventWait)]
    while asked:
        found = await _together(_state(pass_, key, label, waits[label], until, events) for label in asked)
        states |= zip(asked, found, strict=True)
        asked = [label for label in waits if _is_taken(pass_, waits[label], states[label])]
    return states


def _is_taken(pass_: Pass, wait: AnyWait, state: Event | Child | None) -> bool:
    return isinstance(wait, EventWait) and isinstance(state, Event) and pass_.topics.has_taken(wait, state)


async def _together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """All at once, so that one statement asks for all of them."""
    with outside_the_workflow():
        return await asyncio.gather(*work)


async def _state(
    pass_: Pass, key: Key, label: str, wait: AnyWait, until: datetime | None, events: Sequence[EventWait]
) -> Event | Child | None:
    match wait:
        case EventWait():
            among = events if wait is events[0] else None  # one look in a call asks whether its topics are the old ones
            return await pass_.topics.look(pass_, key, wait, until, among=among)
        case ChildCall():
            return await children.begun(pass_, f"{key}/#{label}", wait, is_called=True)
        case TimerWait():
            return None


def _end(state: Event | Child | None) -> datetime | None:
    match state:
        case Event():
            return state.sent_at
        case Child():
            return state.finished_at
        case None:
            return None


def _passed(until: datetime | None, now: datetime) -> datetime | None:
    return until if until is not None and until <= now else None


def _outcome(pass_: Pass, winner: _Ended, wait: AnyWait) -> Outcome:
    match winner.by:
        case Event() if isinstance(wait, EventWait):
            return outcome_of(wait, pass_.topics.take(wait, winner.by), winner.by, label=winner.label)
        case Child() if winner.by.error is None and winner.by.result is not None:
            return Outcome(without_event(winner.by.result, winner.label), is_failure=False)
        case Child():
            return Outcome(failed_outcome(failure_of_child(winner.by), None, winner.label), is_failure=True)
        case _:
            return Outcome(without_event(label=winner.label), is_failure=False)


async def _withdraw(pass_: Pass, states: Mapping[str, Event | Child | None], winner: _Ended) -> None:
    """Children that came too late are cancelled. If this is cut, they are when the workflow ends."""
    late = [state.id for label, state in states.items() if isinstance(state, Child) and label != winner.label]
    for child in late:
        await outlast(pass_.around, partial(pass_.around.store.cancel, child, reason="another came first"))


def _replayed(pass_: Pass, key: Key, waits: Mapping[str, AnyWait], stored: Checkpoint) -> First:
    label = taken_of(stored.value).label or ""
    if label not in waits:
        raise Diverged(step=key, expected=f"a first that '{label}' has won", met="one without that")
    check_digest(pass_, key, stored.digest, _digest(label, waits[label]))
    return _read(key, waits, stored.is_failure, stored.value)


def _read(key: Key, waits: Mapping[str, AnyWait], is_failure: bool, value: bytes) -> First:
    if is_failure:
        if decode_child_failure(value).status:
            raise children.child_failed(key, value)
        raise step_failed(key, value)
    taken = taken_of(value)
    label = taken.label or ""
    wait = waits[label]
    return First(label, None if isinstance(wait, TimerWait) else decoded(key, wait.codec, bytes(taken.payload)))


def _digest(label: str, wait: AnyWait) -> int:
    return digest((label, wait.digest), {})


def _told(wait: AnyWait) -> str:
    match wait:
        case EventWait():
            return wait.told
        case ChildCall():
            return f"child of '{wait.bound.workflow}'"
        case TimerWait():
            return "timer"
