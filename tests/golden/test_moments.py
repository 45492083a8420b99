"""A history fits its own code at every moment: after each write, a replay comes to where it was (F56, F60)."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import App, Handle
from stepwell.client import Client
from stepwell.core.model import Batch, Ending, FailedAttempt, Flushed, NewCheckpoint, SessionId
from stepwell.inputs import NOTHING
from stepwell.runtime.dry_run import dry_run
from stepwell.runtime.history import History, history_of
from tests.golden import flows
from tests.golden.flows import INPUTS, RESTING
from tests.runtime.lab import Lab, LabStore


class WatchedStore(LabStore):
    """Remembers the history of every execution after each write."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[History] = []

    async def flush(self, session: SessionId, batch: Batch) -> Flushed:
        flushed = await super().flush(session, batch)
        rows: list[NewCheckpoint | FailedAttempt | Ending] = [*batch.checkpoints, *batch.attempts, *batch.endings]
        for execution_id in {row.execution_id for row in rows} - flushed.refused:
            found = await self.get(execution_id)
            assert found is not None
            records = [record async for record in Client(self).steps(execution_id)]
            self.moments.append(history_of(found, records, as_of=self.now()))
        return flushed


@pytest.mark.parametrize("name", flows.app.registry.names)
async def test_history_of_any_moment_fits_the_code_that_made_it(name: str) -> None:
    lab, store = Lab(), WatchedStore()
    lab.store, lab.app = store, App(store)
    for workflow in map(flows.app.registry.__getitem__, flows.app.registry.names):
        lab.app.workflow(workflow.function)
    store.is_hurried = name not in RESTING
    handle: Handle[Any] = await lab.app.start(name, INPUTS.get(name, NOTHING))
    async with lab.worker():
        await (lab.at_rest(handle) if name in RESTING else lab.until(handle, lambda _: False))

    for moment in store.moments:
        run = await dry_run(moment, lab.app.registry[moment.workflow], called=store.called)
        assert (run.divergence, run.unreached, run.is_stuck) == (None, (), False), f"{moment}\n{run}"
    assert any(moment.id == handle.id for moment in store.moments)
