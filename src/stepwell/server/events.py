"""Routes: events are sent, and looked at with those who wait for them."""

from __future__ import annotations

from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stepwell.app.payloads import to_store
from stepwell.core.events import address
from stepwell.core.payload import is_same
from stepwell.core.tokens import Scope
from stepwell.errors import InvalidOption, InvalidValue, PayloadTooLarge, UnknownExecution
from stepwell.server import documents
from stepwell.server.executions import IDEMPOTENCY_KEY, idempotency_key
from stepwell.server.fields import DEFAULT_PAGE, Limit, Text
from stepwell.server.histories import Waits
from stepwell.server.problems import Refusal
from stepwell.server.queries import given
from stepwell.server.routes import Answer, Call, Route


class NewEvent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An event: for all that wait for its name with this `key`, or for the execution `to`, which waits without one.

    With neither only triggers see it. Sent again with the same `id` it is accepted once.
    """

    name: Text
    payload: Raw | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    to: UUID | UnsetType = UNSET
    id: Text | UnsetType = UNSET


class Sent(msgspec.Struct):
    """`is_new` is false when the event's id was accepted before; `waiting` is how many executions go on with it."""

    name: str
    id: str | None
    is_new: bool
    waiting: int


async def send_event(call: Call, body: NewEvent) -> Answer[Sent]:
    """Send an event.

    When this has answered, it reaches every wait that matches, also one that begins later.
    """
    identity = idempotency_key(call, body.id)
    sent = await call.app.send_event_json(
        body.name,
        None if body.payload is UNSET else bytes(body.payload),
        key=body.key or None,
        to=body.to or None,
        id=identity,
    )
    is_new = bool(sent.is_new)
    if not is_new:
        await _refuse_other_payload(call, body, identity)
    return Answer(Sent(body.name, identity, is_new, sent.waiting or 0), status=201 if is_new else 200)


async def _refuse_other_payload(call: Call, body: NewEvent, identity: str | None) -> None:
    """Raise Refusal when the event that has this id says something else. One that was removed since is taken as it."""
    payload = b"null" if body.payload is UNSET else to_store(bytes(body.payload), where="payload")
    receiver = address(key=body.key or None, execution_id=body.to or None)
    store = (await call.app.open()).store
    for kept in await store.events(name=body.name, address=receiver, id=identity, limit=1):
        if not is_same(kept.payload, payload):
            raise Refusal(
                422, "key-conflict", f"event '{body.name}' with id {identity!r:.100} was accepted with another payload"
            )


class Events(msgspec.Struct):
    """Events, newest first."""

    events: list[documents.Event]


class EventFilter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: Text | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    to: UUID | UnsetType = UNSET
    limit: Limit = DEFAULT_PAGE


async def list_events(call: Call, query: EventFilter) -> Events:
    """List the newest events that are kept."""
    found = await call.app.events(**given(query))
    return Events([documents.event(one) for one in found])


class WaitFilter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: Text | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    execution_id: UUID | UnsetType = UNSET
    limit: Limit = DEFAULT_PAGE


async def list_waits(call: Call, query: WaitFilter) -> Waits:
    """List who waits for events."""
    return Waits([documents.wait(one) for one in await call.app.waits(**given(query))])


ROUTES = (
    Route(
        "POST",
        "/events",
        Scope.OPERATE,
        send_event,
        statuses=(201, 200),
        errors=(InvalidOption, InvalidValue, PayloadTooLarge, UnknownExecution),
        headers=(IDEMPOTENCY_KEY,),
    ),
    Route("GET", "/events", Scope.READ, list_events, errors=(InvalidOption,)),
    Route("GET", "/waits", Scope.READ, list_waits, errors=(InvalidOption,)),
)
