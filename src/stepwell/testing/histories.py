"""`replay`: whether code still fits the history of an execution, as `stepwell executions export` wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stepwell.core.model import Completed, Failed
from stepwell.core.payload import unpack
from stepwell.core.status import Status
from stepwell.runtime.dry_run import DryRun, Place, dry_run
from stepwell.runtime.history import History, history_from_json
from stepwell.runtime.registry import Workflow


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a history leads in the code as it is now.

    `begins` are the steps that would run next, `waits_for` is what the execution would wait for, `unreached` is what is
    stored and was not asked for: steps that the code does not have any more, or has only after those that begin.
    """

    begins: tuple[str, ...]
    waits_for: str | None
    unreached: tuple[str, ...]


async def replay(history: str | bytes, workflow: Workflow[..., Any]) -> Replayed:
    """Replay a history against the workflow as it is now. No step runs, nothing is written, no time passes.

    Raises AssertionError when the execution would be parked, with the line that does it, or when one that was completed
    does not come to the same result from what is stored. Raises InvalidOption when it is no history.
    """
    past = history_from_json(history)
    run = await dry_run(past, workflow)
    faults = list(_faults(past, run))
    if faults:
        head = f"the history of execution {past.id} does not fit workflow '{workflow.id}' any more"
        raise AssertionError("\n".join([head, *(f"  {fault}" for fault in faults)]))
    return Replayed(run.begins, run.waits_for, run.unreached)


def _faults(past: History, run: DryRun) -> Iterator[str]:
    if run.divergence is not None:
        yield f"{run.divergence}{_at(run.place)}"
    elif run.is_stuck:
        yield "it waits for something that is no durable call, and would do so on every pass"
    elif past.status is Status.COMPLETED:
        yield from _faults_of_result(past, run)


def _faults_of_result(past: History, run: DryRun) -> Iterator[str]:
    match run.outcome:
        case Completed(result) if unpack(result) != bytes(past.result):
            yield f"it returned {bytes(past.result).decode():.500}"
            yield f"and now     {unpack(result).decode():.500}"
        case Failed(reason=reason):
            yield f"it was completed, and now it would fail: {reason}"
        case None:
            yield f"it was completed, and now it would go on: {', '.join(run.begins) or run.waits_for}"


def _at(place: Place | None) -> str:
    return f" ({place.file}:{place.line})" if place is not None else ""
