"""The rules about pausing, resuming, forking and the audit in the random comparison of the stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from stepwell.core.model import AuditRecord, ExecutionId, NewFork
from tests.store.world import MemoryWorld, World

_ACTORS = st.sampled_from(("ann", "bob"))
_STEPS = st.sampled_from((None, "", "fetch", "send", "enrich", "enrich/#1", "store"))
_EDITS = st.dictionaries(st.sampled_from(("fetch", "send", "enrich/#1", "store")), st.just(b"9"), max_size=1)


class Side(Protocol):
    """One of the two stores."""

    world: World


class ControlRules:
    """Mixed into the state machine."""

    ids: list[ExecutionId]
    memory_world: MemoryWorld
    memory: Any  # the two sides, as the state machine has them
    postgres: Any
    raw: psycopg.Connection[Any]

    def both(self, operation: Callable[[Any], Awaitable[Any]]) -> None:
        """Do it to both; they must answer alike."""
        raise NotImplementedError

    def any_ids(self, data: st.DataObject, session: int | None = None) -> list[ExecutionId]:
        """Some executions."""
        raise NotImplementedError

    @rule(data=st.data(), by=_ACTORS)
    def pause(self, data: st.DataObject, by: str) -> None:
        ids = self.any_ids(data)

        async def operation(side: Side) -> object:
            return [await side.world.store.pause(id, by=by, reason="look") for id in ids]

        self.both(operation)
        self.both(lambda side: side.world.store.orders(ids))

    @rule(data=st.data(), by=_ACTORS)
    def resume(self, data: st.DataObject, by: str) -> None:
        paused = [row.id for row in self.memory_world.memory._executions.values() if row.paused_by]
        ids = data.draw(st.lists(st.sampled_from(paused * 4 + self.ids), max_size=2, unique=True), label="ids")

        async def operation(side: Side) -> object:
            return [await side.world.store.resume(id, by=by, reason=None) for id in ids]

        self.both(operation)

    @rule(data=st.data(), from_step=_STEPS, edit=_EDITS, input=st.sampled_from((None, None, b"5")))
    def fork(self, data: st.DataObject, from_step: str | None, edit: dict[str, bytes], input: bytes | None) -> None:
        new = ExecutionId(UUID(int=len(self.ids) + 1))
        for id in self.any_ids(data)[:1]:
            asked = NewFork(id, new, from_step, input, edit)
            self.both(lambda side, asked=asked: side.world.store.fork(asked, by="ann"))  # type: ignore[misc]
        self.ids += [new] if new in self.memory_world.memory._executions else []

    @rule(data=st.data(), limit=st.sampled_from((1, 3)))
    def turn_over_audits(self, data: st.DataObject, limit: int) -> None:
        """The first page and the next, of one execution or of all."""
        which = data.draw(st.sampled_from((None, *self.any_ids(data))), label="which")

        async def operation(side: Side) -> object:
            store = side.world.store
            page = await store.audits(which, before=None, limit=limit)
            rest = await store.audits(which, before=page[-1].number, limit=limit) if page else []
            return _said([*page, *rest])

        self.both(operation)

    @invariant()
    def what_was_done_is_stored_alike(self) -> None:
        async def operation(side: Side) -> object:
            return _said(await side.world.store.audits(None, before=None, limit=10_000))

        self.both(operation)
        assert self.postgres.plain(self._paused_in_postgres()) == self.memory.plain(self._paused_in_memory())

    @invariant()
    def only_what_runs_and_is_to_stop_is_told(self) -> None:
        """Nobody is told of what nobody wants, and everybody of what somebody does."""
        for row in self.memory_world.memory._executions.values():
            if row.owner is not None:
                assert row.is_told == (row.paused_by is not None or row.cancel_requested_at is not None)
            assert row.paused_by is None or not (row.status.is_final or row.cancel_requested_at)

    def _paused_in_memory(self) -> list[Any]:
        rows = sorted(self.memory_world.memory._executions.values(), key=lambda row: row.id)
        return [(row.id, row.paused_by, row.is_told, row.fork_of, row.seed) for row in rows]

    def _paused_in_postgres(self) -> list[Any]:
        question = "select id, paused_by, is_told, fork_of, seed from stepwell.execution order by id"
        return self.raw.execute(question).fetchall()


def _said(records: Sequence[AuditRecord]) -> list[object]:
    """Without their numbers, which each store counts for itself."""
    return [(one.done_at, one.execution_id, one.actor, one.action, one.detail) for one in records]
