"""Waiting for events: look, and where there is none, give everything back until one comes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stepwell.codec import Codec
from stepwell.core.model import Checkpoint, Kind, NewCheckpoint
from stepwell.errors import Diverged, InvalidValue
from stepwell.failpoints import failpoint
from stepwell.runtime.attempts import step_failed
from stepwell.runtime.calls import check_digest, durable, recall
from stepwell.runtime.passes import Key, Pass, Wait
from stepwell.runtime.times import end_of, recorded
from stepwell.runtime.topics import EventWait, Outcome, outcome_of, taken_of, without_event


@durable
async def event(pass_: Pass, key: Key, wait: EventWait, timeout: Any) -> Any:
    """The payload of the next event; None when none was sent in time. Either is stored, and the same for ever."""
    found = await recall(pass_, key, Kind.WAIT)
    if found is not None:
        return _replayed(pass_, key, wait, found)
    until = None
    if timeout is not None:
        until = await recorded(pass_, f"{key}/#until", Kind.VALUE, wait.digest, end_of(pass_, key, timeout))
    failpoint("before_wait_check")
    await pass_.begin_looking(key)
    try:
        outcome = await _look(pass_, key, wait, until)
    finally:
        pass_.leave()
    if outcome is None:
        await pass_.block(Wait(until, wait.told, is_outside=True))
    return outcome.value


def _replayed(pass_: Pass, key: Key, wait: EventWait, stored: Checkpoint) -> Any:
    check_digest(pass_, key, stored.digest, wait.digest)
    if stored.is_failure:
        raise step_failed(key, stored.value)
    taken = taken_of(stored.value)
    return None if taken.event is None else decoded(key, wait.codec, bytes(taken.payload))


def decoded(key: Key, codec: Codec[Any], payload: bytes) -> Any:
    """The payload that was stored. Raises Diverged when the code now reads another type."""
    try:
        return codec.decode(payload)
    except InvalidValue as error:
        expected = f"stored in a form that its type does not read ({error.reason})"
        raise Diverged(step=key, expected=expected, met="of another type") from error


async def _look(pass_: Pass, key: Key, wait: EventWait, until: datetime | None) -> Outcome | None:
    """What has ended the wait, once it is stored; None: nothing yet. An event that was sent in time goes first."""
    now = pass_.now()  # before the look: an event that it does not see is sent after this
    taken = await pass_.topics.next(pass_, key, wait, until)
    if taken is not None:
        outcome = outcome_of(wait, *taken)
    elif until is not None and now >= until:
        outcome = Outcome(without_event(), is_failure=False)
    else:
        return None
    await pass_.store(NewCheckpoint(pass_.id, key, Kind.WAIT, wait.digest, outcome.stored, outcome.is_failure))
    if outcome.is_failure:
        raise step_failed(key, outcome.stored)
    return outcome
