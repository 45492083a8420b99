"""Sending events from outside, and looking at what was sent and at who waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from stepwell.app.checks import checked_limit, execution_id_of, optional_text
from stepwell.app.opening import Opening
from stepwell.app.payloads import to_store
from stepwell.core.events import address
from stepwell.core.model import EventRecord, NewEvent, Sent, WaitRecord
from stepwell.errors import UnknownExecution
from stepwell.runtime.sending import new_event
from stepwell.runtime.topics import checked_event_key
from stepwell.store.foreign import send_on, send_on_sync

MAX_EVENTS = 1_000  # with their payloads, all in memory


class Events(Opening):
    """The part of an App that sends events, and shows them."""

    async def send_event(
        self,
        name: str,
        payload: Any = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        id: str | None = None,
        connection: Any = None,
    ) -> Sent:
        """Send an event; when this has returned, it survives any crash and reaches every wait that matches.

        It goes to all executions that wait for `name` with this `key`, also to those that begin to wait later; or to
        the execution `to`, which waits for it without a key. The answer says how many executions were waiting. Sent
        again with the same `id` it is accepted once. `connection`, a psycopg connection of the engine's database, makes
        it part of its transaction: nobody waits for that, and how many were waiting shows only after it (None). Raises
        InvalidOption, InvalidValue, UnknownExecution.
        """
        event = _event(name, payload, key=key, to=to, id=id)
        if connection is None:
            return await (await self.open()).send(event)
        return _accepted(await send_on(connection, event, schema=self._schema), to)

    async def send_event_json(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        id: str | None = None,
    ) -> Sent:
        """`send_event` with the payload as the JSON text that came from outside, kept to the digit; None is null."""
        event = _event(name, None, key=key, to=to, id=id)
        if payload is not None:
            event = event._replace(payload=to_store(payload, where=f"payload of event '{name}'"))
        return await (await self.open()).send(event)

    def send_event_on(
        self,
        connection: Any,
        name: str,
        payload: Any = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        id: str | None = None,
    ) -> Sent:
        """`send_event` in the transaction of a synchronous psycopg connection, without an event loop."""
        event = _event(name, payload, key=key, to=to, id=id)
        return _accepted(send_on_sync(connection, event, schema=self._schema), to)

    async def events(
        self,
        name: str | None = None,
        *,
        key: str | None = None,
        to: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[EventRecord]:
        """The events that are kept, newest first: all, or those of one name, with one key, to one execution."""
        client, where = await self.open(), _address(key, to)
        name = optional_text("name", name)
        return await client.store.events(name=name, address=where, limit=_checked_limit(limit))

    async def waits(
        self,
        name: str | None = None,
        *,
        key: str | None = None,
        execution_id: UUID | str | None = None,
        limit: int = 100,
    ) -> Sequence[WaitRecord]:
        """Who waits for events: of one name, with one key, or the waits of one execution, or all."""
        client, where = await self.open(), _address(key, None)
        owner = None if execution_id is None else execution_id_of(execution_id)
        name = optional_text("name", name)
        return await client.store.waits(execution_id=owner, name=name, address=where, limit=_checked_limit(limit))


def _address(key: str | None, to: UUID | str | None) -> str | None:
    if key is None and to is None:
        return None
    receiver = None if to is None else execution_id_of(to)
    return address(key=checked_event_key(key), execution_id=receiver)


def _checked_limit(limit: int) -> int:
    return checked_limit(limit, most=MAX_EVENTS, way_out=", or say which name or key")


def _event(name: str, payload: Any, *, key: str | None, to: UUID | str | None, id: str | None) -> NewEvent:
    return new_event(name, payload, key=key, to=None if to is None else execution_id_of(to), id=id)


def _accepted(is_accepted: bool, to: object) -> Sent:
    if not is_accepted:
        raise UnknownExecution(to)
    return Sent(is_new=None, waiting=None)
