"""Histories that were recorded by earlier versions are replayed by this one."""

from __future__ import annotations

import pytest

from stepwell import Status
from stepwell.core.model import Completed, Failed, Kind
from stepwell.core.payload import unpack
from stepwell.runtime.dry_run import dry_run
from stepwell.runtime.history import history_from_json
from tests.golden.flows import RESTING, app
from tests.golden.record import HISTORIES

NOT_YET = {Kind.EFFECT, Kind.INTENT, Kind.PATCH}  # nothing stores them so far
RECORDED = {
    file.relative_to(HISTORIES).with_suffix("").as_posix(): history_from_json(file.read_bytes())
    for file in sorted(HISTORIES.rglob("*.json"))
}


@pytest.mark.parametrize("name", RECORDED)
async def test_history_of_an_earlier_version_leads_to_where_it_led(name: str) -> None:
    history = RECORDED[name]

    run = await dry_run(history, app.registry[history.workflow])

    assert (run.divergence, run.begins, run.unreached) == (None, (), ())
    match history.status:
        case Status.COMPLETED:
            assert isinstance(run.outcome, Completed)
            assert unpack(run.outcome.result) == bytes(history.result)
        case Status.FAILED:
            assert isinstance(run.outcome, Failed)
        case _:
            assert run.waits_for == RESTING[history.workflow]


def test_every_kind_of_checkpoint_is_in_a_history() -> None:
    assert {one.kind for history in RECORDED.values() for one in history.checkpoints} == set(Kind) - NOT_YET
    assert any(history.attempts for history in RECORDED.values())


def test_every_workflow_has_a_history() -> None:
    assert {history.workflow for history in RECORDED.values()} == set(app.registry.names)
