"""Sending events from outside."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from stepwell.app.checks import execution_id_of
from stepwell.app.opening import Opening
from stepwell.core.model import NewEvent, Sent
from stepwell.errors import UnknownExecution
from stepwell.runtime.sending import new_event
from stepwell.store.foreign import send_on, send_on_sync


class Events(Opening):
    """The part of an App that sends events."""

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
            return await (await self._open()).send(event)
        return _accepted(await send_on(connection, event, schema=self._schema), to)

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


def _event(name: str, payload: Any, *, key: str | None, to: UUID | str | None, id: str | None) -> NewEvent:
    return new_event(name, payload, key=key, to=None if to is None else execution_id_of(to), id=id)


def _accepted(is_accepted: bool, to: object) -> Sent:
    if not is_accepted:
        raise UnknownExecution(to)
    return Sent(is_new=None, waiting=None)
