"""Sending events from outside."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from stepwell.app.checks import execution_id_of
from stepwell.app.opening import Opening
from stepwell.core.model import Sent
from stepwell.runtime.sending import new_event


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
    ) -> Sent:
        """Send an event; when this has returned, it survives any crash and reaches every wait that matches.

        It goes to all executions that wait for `name` with this `key`, also to those that begin to wait later; or to
        the execution `to`, which waits for it without a key. Workflows triggered by events of that name start in any
        case. The answer says how many executions were waiting. Sent again with the same `id` it is accepted once.
        Raises InvalidOption, InvalidValue, UnknownExecution.
        """
        event = new_event(name, payload, key=key, to=None if to is None else execution_id_of(to), id=id)
        return await (await self._open()).send(event)
