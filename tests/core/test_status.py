"""The statuses and the moves between them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from stepwell.core.status import FINAL, MOVES, Status, may_move


@pytest.mark.parametrize("status", Status)
def test_what_has_ended_moves_only_when_it_is_retried(status: Status) -> None:
    reasons = {why for (before, _), why in MOVES.items() if before is status}

    assert status.is_final == (status in FINAL)
    assert not status.is_final or reasons <= {"retried"}


def test_completed_is_for_ever() -> None:
    assert not any(may_move(Status.COMPLETED, after) for after in Status)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PENDING}))
def test_every_status_is_reached_from_the_first(status: Status) -> None:
    reached = {Status.PENDING}
    for _ in Status:
        reached |= {after for before, after in MOVES if before in reached}

    assert status in reached


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL))
def test_whatever_has_not_ended_can_be_cancelled(status: Status) -> None:
    assert may_move(status, Status.CANCELLED)


def test_the_database_knows_the_same_statuses() -> None:
    (schema,) = files("stepwell.store").joinpath("migrations").glob("0001_*.sql")  # type: ignore[attr-defined]
    checked = re.search(r"execution_status check \(status in \(([^)]*)\)", schema.read_text())

    assert checked is not None
    assert set(re.findall(r"'(\w+)'", checked[1])) == set(Status)
