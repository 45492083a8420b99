"""Events that start executions, on PostgreSQL. See `Triggers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from stepwell.core.dispatching import Dispatch, EventInfo, EventTrigger, Settled, TriggerSpec, as_like
from stepwell.store import binary
from stepwell.store.catalog import Run
from stepwell.store.wire import Row


class PostgresTriggers:
    """Keeps the Triggers protocol."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def apply_triggers(self, declared: Sequence[TriggerSpec], *, workflows: Sequence[str]) -> None:
        await self._run(
            "apply_triggers",
            binary.texts([spec.id for spec in declared]),
            binary.texts([spec.workflow for spec in declared]),
            binary.texts([as_like(spec.pattern) for spec in declared]),
            binary.texts(workflows),
        )

    async def triggers(self) -> Sequence[EventTrigger]:
        return [_trigger(row) for row in await self._run("triggers")]

    async def take(self, triggers: Sequence[str], *, limit: int, lease_for: timedelta) -> Sequence[Dispatch]:
        seconds = binary.float8(lease_for.total_seconds())
        return [_dispatch(row) for row in await self._run("take", binary.texts(triggers), seconds, binary.int4(limit))]

    async def settle(self, decided: Sequence[Settled]) -> int:
        of, new = [one.dispatch for one in decided], [one.new for one in decided]
        found = await self._run(
            "settle",
            binary.texts([one.trigger for one in of]),
            binary.texts([one.name for one in of]),
            binary.texts([one.address for one in of]),
            binary.int8s([one.number for one in of]),
            binary.maybe_uuids([one.id if one else None for one in new]),
            binary.texts([one.workflow if one else None for one in new]),
            binary.texts([one.queue if one else None for one in new]),
            binary.texts([one.key if one else None for one in new]),
            binary.byteas([one.input if one else None for one in new]),
        )
        return int(found[0][0])

    async def put_off(self, dispatch: Dispatch, *, error: str, delay: timedelta) -> None:
        names = (dispatch.trigger.encode(), dispatch.name.encode(), dispatch.address.encode())
        seconds = binary.float8(delay.total_seconds())
        await self._run("put_off", *names, binary.int8(dispatch.number), error.encode(), seconds)


def _trigger(row: Row) -> EventTrigger:
    identity, workflow, pattern, *rest = row
    return EventTrigger(identity, workflow, _as_pattern(pattern), *rest)


def _as_pattern(like: str) -> str:
    """The pattern that `as_like` was given."""
    escaped = like.replace("\\\\", "\0").replace("\\%", "\1").replace("\\_", "_")
    return escaped.replace("%", "*").replace("\1", "%").replace("\0", "\\")


def _dispatch(row: Row) -> Dispatch:
    trigger, name, address, number, identity, sent_at, payload = row
    if payload is None:
        return Dispatch(trigger, name, address, number)
    key = address[2:] if address.startswith("k:") else None
    return Dispatch(trigger, name, address, number, EventInfo(name, key, number, identity, sent_at), payload)
