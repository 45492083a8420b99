"""What a dry run means for an execution: whether the new code can carry it on."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from stepwell.core.model import Completed, Failed
from stepwell.runtime.dry_run import DryRun, Place
from stepwell.runtime.passes import Key

MAX_NAMED = 5  # steps in one sentence


class Fault(StrEnum):
    """Why an execution would not be carried on as it stands."""

    MISSING = "missing"  # no workflow of that name
    DIVERGES = "diverges"  # it would be parked
    STUCK = "stuck"  # it waits for something that is no durable call
    FAILS = "fails"  # the function raises, at once
    UNREACHED = "unreached"  # stored steps are left aside: perhaps on purpose


class Verdict(NamedTuple):
    """What is wrong, at which step and where in the code, as far as that can be said."""

    fault: Fault
    step: Key | None
    place: Place | None
    message: str

    @property
    def is_warning(self) -> bool:
        return self.fault is Fault.UNREACHED


def verdict_of(run: DryRun) -> Verdict | None:
    """The worst that a dry run has shown; None when the execution goes on as it stands."""
    if run.divergence is not None:
        return Verdict(Fault.DIVERGES, run.divergence.step, run.place, f"parked: {run.divergence}")
    if run.is_stuck:
        message = "it waits for something that is no durable call, and would on every pass; do that in a step"
        return Verdict(Fault.STUCK, None, run.place, message)
    if isinstance(run.outcome, Failed) and not run.outcome.failed_steps:
        return Verdict(Fault.FAILS, None, run.place, f"it would fail: {run.outcome.reason}")
    if run.unreached and not isinstance(run.outcome, Failed):
        message = f"{_named(run.unreached)} stored, and the code {_end(run)}; a renamed step needs was="
        return Verdict(Fault.UNREACHED, run.unreached[0], run.place, message)
    return None


def _named(keys: Sequence[Key]) -> str:
    names = ", ".join(map(repr, keys[:MAX_NAMED]))
    more = f" and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else ""
    return f"{names}{more} {'is' if len(keys) == 1 else 'are'}"


def _end(run: DryRun) -> str:
    if run.begins:
        return f"begins '{run.begins[0]}' before it comes there, if it does"
    return (
        "returns without it"
        if isinstance(run.outcome, Completed)
        else f"waits for {run.waits_for} before it comes there"
    )
