"""Starts what events start: takes those that are to be decided, asks the triggers' code, and starts or drops each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stepwell.codec import codec_for
from stepwell.core.dispatching import Dispatch, EventInfo, Settled
from stepwell.core.model import ExecutionId, NewExecution
from stepwell.core.payload import unpack
from stepwell.inputs import InputCodec
from stepwell.store.base import Backend
from stepwell.store.identity import new_id

log = logging.getLogger("stepwell.trigger")

PAGE = 100  # events taken at once
LEASE = timedelta(seconds=30)  # a worker that has taken events and died is waited for so long
RETRY_AFTER = timedelta(minutes=1)  # when a trigger's code has raised: it gets fixed
HINTED_LOOK = timedelta(seconds=15)  # hints tell us; this is the backstop
PLAIN_LOOK = timedelta(seconds=1)  # while no hint is sent to us


class Listening(NamedTuple):
    """Which events a trigger is for, what it starts, and whether: `where` is asked with the payload."""

    pattern: str
    workflow: str
    queue: str
    input: InputCodec
    info_parameter: str | None
    where: Callable[[Any], bool] | None


class Dispatcher:
    """Decides about events for some triggers. Any number of them may: each event is decided once for each trigger."""

    def __init__(self, store: Backend, triggers: Mapping[str, Listening]) -> None:
        self._store, self._triggers = store, triggers
        self._look_at: datetime | None = None

    def hear(self, hint: str) -> bool:
        """Whether the hint is for us: then we look at once."""
        if hint == "event":
            self._look_at = None
        return hint == "event"

    async def tick(self, *, is_hinted: bool) -> timedelta:
        """Decide about what there is; how long to wait until the next look. `is_hinted`: we would be told."""
        if self._look_at is not None and (left := self._look_at - self._store.now()) > timedelta(0):
            return left
        wait = HINTED_LOOK if is_hinted else PLAIN_LOOK
        self._look_at = self._store.now() + wait  # before the look: a hint that comes meanwhile takes it back
        taken = await self._store.triggers.take(tuple(self._triggers), limit=PAGE, lease_for=LEASE)
        if taken:
            await self._decide(taken)
            self._look_at = None  # there may be more
        return wait if self._look_at is not None else timedelta(0)

    async def _decide(self, taken: Sequence[Dispatch]) -> None:
        settled = []
        for dispatch in taken:
            try:
                settled.append(Settled(dispatch, self._start(dispatch, self._triggers[dispatch.trigger])))
            except Exception as error:  # noqa: BLE001 - code of the user's
                await self._put_off(dispatch, error)
        if settled:
            await self._store.triggers.settle(settled)

    def _start(self, dispatch: Dispatch, listening: Listening) -> NewExecution | None:
        """The execution that it starts; None when `where` says no, or the event is no longer there."""
        if dispatch.payload is None or dispatch.info is None:
            return None
        text = unpack(dispatch.payload)
        if listening.where is not None and not listening.where(codec_for(Any).decode_text(text)):
            return None
        stored = _input(listening, text, dispatch.info)
        identity = ExecutionId(new_id())
        return NewExecution(identity, listening.workflow, stored, listening.queue, dispatch.key)

    async def _put_off(self, dispatch: Dispatch, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"[:500].replace("\0", "")
        log.error("trigger '%s' cannot decide about event '%s': %s", dispatch.trigger, dispatch.name, told)
        await self._store.triggers.put_off(dispatch, error=told, delay=RETRY_AFTER)


def _input(listening: Listening, text: bytes, info: EventInfo) -> bytes:
    """The payload is the input; a parameter annotated as EventInfo gets which event it was."""
    if not listening.input.names:
        return listening.input.bind((), {})
    parameter = listening.info_parameter
    return listening.input.keep(text, {parameter: unpack(codec_for(EventInfo).encode(info)[0])} if parameter else {})
