"""Events that a workflow sends: accepted once, however often the step is begun."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from stepwell.codec import codec_of, digest
from stepwell.core.events import address
from stepwell.core.failure import failure_of
from stepwell.core.model import Kind, NewCheckpoint, NewEvent, Sent
from stepwell.core.replay import idempotency_key
from stepwell.errors import InvalidOption, InvalidValue, UnknownExecution
from stepwell.runtime.attempts import step_failed
from stepwell.runtime.calls import check_digest, durable, recall
from stepwell.runtime.outages import outlast
from stepwell.runtime.passes import Key, Pass
from stepwell.runtime.topics import checked_event, checked_event_id, checked_event_key
from stepwell.stored_failures import encode_failure


def new_event(name: str, payload: Any, *, key: str | None, to: UUID | None, id: str | None) -> NewEvent:
    """An event as it was asked for. Raises InvalidOption, InvalidValue."""
    if key is not None and to is not None:
        raise InvalidOption(f"event '{name}': give a key, or the execution it goes to, not both")
    if to is not None and not isinstance(to, UUID):
        raise InvalidOption(f"event '{name}': to {to!r:.100} is no execution id; give a UUID, as step.start does")
    receiver = address(key=checked_event_key(key), execution_id=to)
    stored = encoded(payload, where=f"payload of event '{name}'")
    return NewEvent(checked_event(name), receiver, stored, checked_event_id(id))


@durable
async def send(pass_: Pass, key: Key, event: NewEvent, receiver: object) -> Sent:
    """What became of the event. Without an id of its own, it has the call's. Raises StepFailed: no such receiver."""
    arguments = digest((event.name, event.address, event.payload), {})
    found = await recall(pass_, key, Kind.EVENT)
    if found is not None:
        check_digest(pass_, key, found.digest, arguments)
        return _read(key, found.is_failure, found.value)
    await pass_.begin_work(key)
    try:
        named = event if event.id is not None else event._replace(id=idempotency_key(pass_.id, key))
        sent = await outlast(pass_.around, lambda: pass_.around.store.send(named))
        if sent is None:
            value = encode_failure(failure_of(UnknownExecution(receiver)))
        else:
            value = msgspec.json.encode(sent._asdict())
        row = NewCheckpoint(pass_.id, key, Kind.EVENT, arguments, value, is_failure=sent is None)
        await pass_.store(row)
        return _read(key, row.is_failure, value)
    finally:
        pass_.leave()


def encoded(value: object, *, where: str) -> bytes:
    """The bytes to store for a value, by its own type. Raises InvalidValue, which names `where`."""
    try:
        return codec_of(value).encode(value)[0]
    except InvalidValue as error:
        raise error.at(where) from error


def _read(key: Key, is_failure: bool, value: bytes) -> Sent:
    if is_failure:
        raise step_failed(key, value)
    return Sent(**msgspec.json.decode(value))
