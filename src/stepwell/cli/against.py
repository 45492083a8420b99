"""Executions in flight, replayed against the code as it is now. Nothing is written, and no step runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from stepwell.client import Client
from stepwell.core.model import Execution, Filter
from stepwell.core.status import Status
from stepwell.errors import UnknownWorkflow
from stepwell.runtime.dry_run import dry_run
from stepwell.runtime.history import history_of
from stepwell.runtime.registry import Registry
from stepwell.runtime.verdict import Fault, Verdict, verdict_of
from stepwell.store.base import Reader
from stepwell.store.postgres import PostgresStore

IN_FLIGHT = tuple(status for status in Status if not status.is_final)
PAGE = 500
MAX_WAITS = 1_000  # of one execution that are compared; each is a branch that waits


class Judged(NamedTuple):
    """An execution that the code does not carry on as it stands."""

    execution: Execution
    verdict: Verdict


class Outcome(NamedTuple):
    """What a look at all of them has shown."""

    executions: int
    judged: Sequence[Judged]


async def replay_in_flight(registry: Registry, url: str, schema: str, workflows: Sequence[str]) -> Outcome:
    """Replay every execution in flight, or those of some workflows. Raises DatabaseUnavailable, DatabaseNotReady."""
    store = PostgresStore(url, schema=schema)
    try:
        await store.open()
        count, judged = 0, []
        async for execution in _in_flight(store, workflows):
            count += 1
            if (verdict := await _settled_verdict(store, registry, execution)) is not None:
                judged.append(Judged(execution, verdict))
        return Outcome(count, judged)
    finally:
        await store.close()


async def _in_flight(reader: Reader, workflows: Sequence[str]) -> AsyncIterator[Execution]:
    for workflow in workflows or (None,):
        which = Filter(statuses=IN_FLIGHT, workflow=workflow)
        while page := await reader.list(which, limit=PAGE):
            for execution in page:
                yield execution
            which = Filter(statuses=IN_FLIGHT, workflow=workflow, before=page[-1].id)


async def _settled_verdict(store: PostgresStore, registry: Registry, execution: Execution) -> Verdict | None:
    """The verdict on an execution that may go on while it is read: a bad one counts if it is found twice."""
    first = await _verdict(store, registry, execution)
    if first is None or first.fault is Fault.MISSING:
        return first
    now = await store.get(execution.id)
    if now is None or now.status.is_final:
        return None
    return await _verdict(store, registry, now)


async def _verdict(store: PostgresStore, registry: Registry, execution: Execution) -> Verdict | None:
    try:
        workflow = registry.version(execution.workflow, execution.version)
    except UnknownWorkflow as error:
        return Verdict(Fault.MISSING, None, None, f"{error}; keep the workflow until its executions have ended")
    records = [record async for record in Client(store).steps(execution.id)]
    history = history_of(execution, records, as_of=store.now())
    waits = await store.waits(execution_id=execution.id, name=None, address=None, limit=MAX_WAITS)
    return verdict_of(await dry_run(history, workflow, called=store.called, waits=waits))
