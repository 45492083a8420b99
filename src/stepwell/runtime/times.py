"""Times that are stored once: what a durable call took for now, or when its wait is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from stepwell.codec import Codec, codec_for
from stepwell.core.duration import DurationLike, InvalidDuration, parse_duration
from stepwell.core.model import Kind, NewCheckpoint
from stepwell.core.moments import aware
from stepwell.errors import Cancelled, Diverged, InvalidOption
from stepwell.runtime.calls import durable, recall
from stepwell.runtime.passes import Key, Pass

_TIME: Codec[datetime] = codec_for(datetime)


@durable
async def recorded(pass_: Pass, key: Key, kind: Kind, arguments: int, make: Callable[[], datetime]) -> datetime:
    """The time stored under this key; made and stored on the first pass.

    One that is still to come belongs to a wait under way: met with other arguments, the execution is parked.
    """
    found = await recall(pass_, key, kind)
    if found is None:
        await pass_.begin_work(key)
        try:
            value, at = _TIME.encode(make())
            await pass_.store(NewCheckpoint(pass_.id, key, kind, arguments, value))
        finally:
            pass_.leave()
        return at
    until = _TIME.decode(found.value)
    if found.digest != arguments and until > pass_.now():
        raise Diverged(step=key, expected=f"a wait until {until:%Y-%m-%d %H:%M:%S}Z", met="another")
    return until


async def sleep_until(pass_: Pass, key: Key, until: datetime) -> None:
    """Return at that time. Where a cancel has cut the sleep, it cuts it on every later pass, though its time has come.

    Else the clean-up that follows would be taken for the call at which the workflow is to be told.
    """
    cut = f"{key}/#cancelled"
    known = pass_.replay.stored(cut, Kind.VALUE)
    if known is not None and pass_.asked_at == _TIME.decode(known.value):
        await pass_.admit()
    try:
        await pass_.wait_until(until, f"timer '{key}'")
    except (Cancelled, asyncio.CancelledError):  # or the workflow itself has ended the branch, because of the cancel
        if pass_.asked_at is not None and pass_.closing is None and known is None:
            pass_.enter()
            try:
                await pass_.store(NewCheckpoint(pass_.id, cut, Kind.VALUE, 0, _TIME.encode(pass_.asked_at)[0]))
            finally:
                pass_.leave()
        raise


def end_of(pass_: Pass, name: str, length: DurationLike | datetime) -> Callable[[], datetime]:
    """When a wait of that length is over, counted from when it is asked; or that time itself. Raises InvalidOption."""
    if isinstance(length, datetime):
        at = aware(name, length)
        return lambda: at
    try:
        duration = parse_duration(length)
    except InvalidDuration as error:
        raise InvalidOption(f"'{name}': {error}") from None
    return lambda: pass_.now() + duration
