"""What undoes a workflow's steps when it does not complete: registered on the way, run in reverse order at the end.

Each is a step of its own: a crash in the middle goes on with the next one, and one that fails leaves the others alone.
"""

from __future__ import annotations

from dataclasses import replace

from stepwell.core.failure import Failure
from stepwell.core.model import CancelledOutcome, Failed
from stepwell.errors import StepFailed
from stepwell.runtime import attempts
from stepwell.runtime.attempts import Call
from stepwell.runtime.passes import Key, Pass, Suspend
from stepwell.stored_failures import decode_failure, encode_failure


def register(pass_: Pass, call: Call) -> None:
    """Have this called if the workflow does not complete."""
    pass_.undos.append(call)
    if pass_.replay.knows(call.key):
        pass_.is_undone = True  # it was called on an earlier pass: there is no way back


async def undo(pass_: Pass, outcome: Failed | CancelledOutcome) -> Failed | CancelledOutcome | None:
    """The outcome, once everything is undone; None if that was cut or has to wait."""
    await pass_.clear()
    root = await pass_.run(_undo_all(pass_))
    failed = root.result() if root.done() and not root.cancelled() else None
    return None if failed is None else _outcome(outcome, failed)


async def _undo_all(pass_: Pass) -> dict[Key, StepFailed] | None:
    """What could not be undone; None if the pass has to end before."""
    failed: dict[Key, StepFailed] = {}
    pass_.begin_undoing()
    for call in reversed(pass_.undos):
        try:
            await attempts.run(pass_, call)
        except StepFailed as error:
            failed[call.key] = error
        except Suspend:
            return None
    return failed


def _outcome(outcome: Failed | CancelledOutcome, failed: dict[Key, StepFailed]) -> Failed | CancelledOutcome:
    """The same, naming what could not be undone. A retry runs those again, never the step that had failed."""
    if not failed:
        return outcome if isinstance(outcome, CancelledOutcome) else Failed(outcome.error, outcome.reason)
    told = "; ".join(f"not undone, '{key}': {error.error_type}: {error.message}" for key, error in failed.items())
    if isinstance(outcome, CancelledOutcome):
        failure, reason = Failure("CompensationFailed", f"{outcome.reason}; {told}"), outcome.reason
    else:
        known = decode_failure(outcome.error)
        failure, reason = replace(known, message=f"{known.message}; {told}"), outcome.reason
    return Failed(encode_failure(failure), f"{reason}; {told}"[:500], tuple(failed))
