"""What a dry run means is decided by what it has shown alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stepwell.core.model import Completed, Failed
from stepwell.errors import Diverged
from stepwell.runtime.dry_run import DryRun, Place
from stepwell.runtime.verdict import Fault, verdict_of

GOOD = DryRun(
    divergence=None,
    place=None,
    begins=(),
    waits_for="timer 'rest'",
    unreached=(),
    outcome=None,
    is_stuck=False,
)
DIVERGED = replace(GOOD, divergence=Diverged(step="pay", expected="a step", met="a sleep"), place=Place("flows.py", 3))


@pytest.mark.parametrize(
    "run",
    [
        GOOD,
        replace(GOOD, begins=("next",)),
        replace(GOOD, outcome=Completed(b"1")),
        replace(GOOD, outcome=Failed(b"", "StepFailed: pay", failed_steps=("pay",)), unreached=("later",)),
    ],
)
def test_execution_that_goes_on_as_it_stands_has_no_verdict(run: DryRun) -> None:
    assert verdict_of(run) is None


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (DIVERGED, Fault.DIVERGES),
        (replace(DIVERGED, is_stuck=True, unreached=("later",)), Fault.DIVERGES),
        (replace(GOOD, is_stuck=True), Fault.STUCK),
        (replace(GOOD, outcome=Failed(b"", "KeyError: 1")), Fault.FAILS),
        (replace(GOOD, unreached=("pay",)), Fault.UNREACHED),
    ],
)
def test_the_worst_that_a_run_has_shown_is_its_verdict(run: DryRun, fault: Fault) -> None:
    verdict = verdict_of(run)

    assert verdict is not None
    assert (verdict.fault, verdict.is_warning) == (fault, fault is Fault.UNREACHED)


def test_divergence_is_told_with_its_step_and_line() -> None:
    verdict = verdict_of(DIVERGED)

    assert verdict is not None
    assert (verdict.step, verdict.place) == ("pay", ("flows.py", 3))
    assert verdict.message.startswith("parked: 'pay' is a step in this execution's history")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            replace(GOOD, begins=("new",)),
            "'pay' is stored, and the code begins 'new' before it comes there, if it does",
        ),
        (replace(GOOD, outcome=Completed(b"1")), "'pay' is stored, and the code returns without it"),
        (GOOD, "'pay' is stored, and the code waits for timer 'rest' before it comes there"),
    ],
)
def test_steps_left_aside_are_told_with_what_the_code_does_instead(run: DryRun, message: str) -> None:
    verdict = verdict_of(replace(run, unreached=("pay",)))

    assert verdict is not None
    assert verdict.message.startswith(message)


def test_many_steps_left_aside_are_counted() -> None:
    verdict = verdict_of(replace(GOOD, unreached=tuple(f"step {number}" for number in range(8))))

    assert verdict is not None
    assert "'step 4' and 3 more are stored" in verdict.message
