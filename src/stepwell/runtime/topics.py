"""The topics that an execution's waits read, and how far each has been read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from stepwell.codec import Codec, codec_for, digest
from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.core.events import address, key_of
from stepwell.core.failure import Failure
from stepwell.core.model import Checkpoint, Elsewhere, Event, Kind, Look
from stepwell.core.moments import aware
from stepwell.core.payload import WRAPPING_BYTES, pack, unpack
from stepwell.core.texts import text_bytes
from stepwell.errors import Diverged, InvalidOption, InvalidValue
from stepwell.runtime.outages import outlast

if TYPE_CHECKING:
    from stepwell.runtime.passes import Key, Pass

MAX_EVENT_BYTES, MAX_KEY_BYTES, MAX_ID_BYTES = 400, 1_200, 800  # together an index entry, which holds 2,704
OWN = "x"  # the address of an execution's own topic, as its history says it: a fork has another id


class EventWait(NamedTuple):
    """A wait for the next event of a topic. Made by `Step.event`, for `Step.first`."""

    name: str
    key: str | None
    codec: Codec[Any]
    since: datetime | timedelta | None

    @property
    def told(self) -> str:
        """For people."""
        return _told(self.name, self.key)

    @property
    def digest(self) -> int:
        """Of what it waits for."""
        return digest((self.name, self.key), {})


class Position(msgspec.Struct):
    """Where a taken event stood."""

    name: str
    address: str
    number: int
    sent_at: datetime


class Taken(msgspec.Struct):
    """The stored outcome of a wait: the event it took, or None for a time-out, a timer or a child; and which it was."""

    event: Position | None
    payload: msgspec.Raw = msgspec.Raw(b"null")
    label: str | None = None


def event_wait(name: str, *, key: str | None, type: Any, since: datetime | DurationLike | None) -> EventWait:
    """A wait as it was asked for. Raises InvalidOption."""
    return EventWait(checked_event(name), checked_event_key(key), codec_for(type), _since(name, since))


def checked_event(name: str) -> str:
    """The name of an event. Raises InvalidOption."""
    return _checked("event", name, MAX_EVENT_BYTES)


def checked_event_key(key: str | None) -> str | None:
    """The key of an event. Raises InvalidOption."""
    return None if key is None else _checked("event key", key, MAX_KEY_BYTES)


def checked_event_id(id: str | None) -> str | None:
    """The sender's id for an event. Raises InvalidOption."""
    return None if id is None else _checked("event id", id, MAX_ID_BYTES)


def _checked(what: str, value: str, limit_bytes: int) -> str:
    size = text_bytes(what, value)
    if not value or size > limit_bytes or "\0" in value:
        raise InvalidOption(f"{what} {value!r:.100}: use 1 to {limit_bytes:,} bytes, without NUL")
    return value


def _since(name: str, since: datetime | DurationLike | None) -> datetime | timedelta | None:
    if since is None or isinstance(since, datetime):
        return since and aware(name, since)
    try:
        return parse_duration(since)
    except InvalidDuration as error:
        raise InvalidOption(f"event '{name}': since: {error}") from None


class Topics:
    """How far the execution has read each topic: each wait takes the next event."""

    def __init__(self, history: Mapping[str, Checkpoint]) -> None:
        self._read: dict[tuple[str, str], int] = {}
        for checkpoint in history.values():
            if checkpoint.kind in (Kind.WAIT, Kind.FIRST):
                self._note(_ended.decode(unpack(checkpoint.value)).event)

    def _note(self, position: Position | None) -> None:
        if position is not None:
            topic = position.name, position.address
            self._read[topic] = max(position.number, self._read.get(topic, 0))

    async def next(
        self, pass_: Pass, key: Key, wait: EventWait, until: datetime | None
    ) -> tuple[Position, Event] | None:
        """The next event for this wait, which has taken it now, and where it stands.

        None: there is none that was sent in time; from now on one that comes wakes the execution.
        """
        while True:
            event = await self.look(pass_, key, wait, until, among=(wait,))
            if event is None or (until is not None and event.sent_at > until):
                return None
            if not self.has_taken(wait, event):
                return self.take(wait, event), event

    async def look(
        self,
        pass_: Pass,
        key: Key,
        wait: EventWait,
        until: datetime | None,
        *,
        among: Sequence[EventWait] | None = None,
    ) -> Event | None:
        """The next event of the wait's topic, not taken yet.

        `among`: all topics that the call waits for. Raises Diverged when it has begun to wait for another.
        """
        receiver, position = address(key=wait.key, execution_id=pass_.id), self._read.get(_topic(wait), 0)
        places = [(one.name, address(key=one.key, execution_id=pass_.id)) for one in among or ()]
        look = Look(pass_.id, key, wait.name, receiver, position, _earliest(pass_, wait), until, tuple(places) or None)
        found = await outlast(pass_.around, lambda: pass_.around.looks.ask(look))
        if isinstance(found, Elsewhere):
            met = " or ".join(one.told for one in among or (wait,))
            raise Diverged(
                step=key, expected=f"a wait for {_told(found.name, key_of(found.address))}", met=f"one for {met}"
            )
        return found

    def has_taken(self, wait: EventWait, event: Event) -> bool:
        """Whether another branch has taken the event while this one looked."""
        return event.number <= self._read.get(_topic(wait), 0)

    def take(self, wait: EventWait, event: Event) -> Position:
        """The event is this wait's from now on: the next wait on its topic gets the next one."""
        position = Position(*_topic(wait), event.number, event.sent_at)
        self._note(position)
        return position


def _told(name: str, key: str | None) -> str:
    return f"event '{name}'" + (f" with key '{key}'" if key is not None else "")


def _topic(wait: EventWait) -> tuple[str, str]:
    return wait.name, OWN if wait.key is None else address(key=wait.key)


def _earliest(pass_: Pass, wait: EventWait) -> datetime:
    if wait.since is None:
        return pass_.execution.created_at
    return wait.since if isinstance(wait.since, datetime) else pass_.execution.created_at - wait.since


class Outcome(NamedTuple):
    """What a wait that took an event stores, and its value for the workflow; no value when it is a failure."""

    stored: bytes
    is_failure: bool
    value: Any = None


def outcome_of(wait: EventWait, position: Position, event: Event, *, label: str | None = None) -> Outcome:
    """The payload, if it fits the wait's type; else a failure, by which it is still known which event was taken."""
    try:
        value = wait.codec.decode(event.payload)
        taken = Taken(position, msgspec.Raw(unpack(event.payload)), label)
        return Outcome(_packed(taken), is_failure=False, value=value)
    except InvalidValue as error:
        failure = Failure(
            "InvalidValue", f"{wait.told}, sent {event.sent_at:%Y-%m-%d %H:%M:%S} UTC: {error.path} {error.reason}"
        )
        return Outcome(failed_outcome(failure, position, label), is_failure=True)


def failed_outcome(failure: Failure, position: Position | None, label: str | None = None) -> bytes:
    """The stored form of a failure that ended a wait."""
    return _encode({**msgspec.to_builtins(failure), "event": msgspec.to_builtins(position), "label": label})


def without_event(payload: bytes = b"null", label: str | None = None) -> bytes:
    """The stored form of a wait that was ended by something else: a time-out, or a child's result."""
    return _packed(Taken(None, msgspec.Raw(unpack(payload)), label))


def _packed(taken: Taken) -> bytes:
    """What could be sent can be taken, too, however near the limit it is."""
    return pack(_encode(taken), extra_bytes=WRAPPING_BYTES)


def taken_of(data: bytes) -> Taken:
    """What was stored."""
    return _taken.decode(unpack(data))


class _Ended(msgspec.Struct):
    """What a history's positions are read from, successes and failures alike."""

    event: Position | None = None


_ended = msgspec.json.Decoder(_Ended)
_taken = msgspec.json.Decoder(Taken)
_encode = msgspec.json.Encoder().encode
