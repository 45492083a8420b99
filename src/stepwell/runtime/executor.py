"""One pass: a claim in, one outcome out."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from stepwell.core.failure import Failure, cause_of, failure_of
from stepwell.core.model import CancelledOutcome, Completed, Ending, Failed, Outcome, Suspended, Waiting
from stepwell.core.webhooks import WebhookEvent
from stepwell.errors import Cancelled, Diverged, InvalidValue, LeaseLost, StepFailed
from stepwell.failpoints import failpoint
from stepwell.running import default_connection, egress
from stepwell.runtime.functions import in_thread
from stepwell.runtime.passes import EXPIRED, Closing, Pass, Suspend
from stepwell.runtime.registry import Workflow
from stepwell.runtime.step import Step
from stepwell.runtime.sync_step import SyncStep
from stepwell.runtime.undoing import undo
from stepwell.stored_failures import encode_failure

log = logging.getLogger("stepwell.execution")

MAX_TOLD = 3  # waits that a listing names

LATE_GRACE = timedelta(seconds=30)  # for the clean-up of what was cancelled while no worker was there
PARKED_FOR = timedelta(minutes=1)  # a parked execution is tried again then: a replay is cheap, and code gets fixed


class _Until(NamedTuple):
    until: datetime
    reason: str


async def execute(pass_: Pass, workflow: Workflow[Any, Any]) -> None:
    """Run one pass and store its outcome. After a lost session there is none: another worker carries on."""
    outcome = await _outcome(pass_, workflow)
    for task in await pass_.settle():
        log.warning("execution %s: a task of the workflow does not end: %r", pass_.id, task)
    if outcome is None:
        return
    failpoint("between_wait_check_and_park" if isinstance(outcome, Suspended | Waiting) else "before_complete")
    try:
        await pass_.around.commit.add(_ending(pass_, outcome))
        failpoint("after_complete_before_notify")
    except LeaseLost:
        log.info("execution %s: the session ended before its outcome was stored; it is carried on elsewhere", pass_.id)
    else:
        _tell(pass_, workflow, outcome)


def _ending(pass_: Pass, outcome: Outcome) -> Ending:
    return Ending(
        pass_.id,
        outcome,
        is_aware=pass_.interruption is Closing.CANCELLED,
        is_undoable=bool(pass_.undos) and isinstance(outcome, Completed),
        is_child=pass_.execution.parent_id is not None,
    )


def _tell(pass_: Pass, workflow: Workflow[Any, Any], outcome: Outcome) -> None:
    """Log what somebody should look at."""
    match outcome:
        case Failed():
            log.warning("execution %s of '%s' failed: %s", pass_.id, workflow.id, outcome.reason)
        case Suspended() if pass_.closing is Closing.DIVERGED:
            log.warning("execution %s of '%s' is %s", pass_.id, workflow.id, outcome.reason)
        case _:
            return


async def _outcome(pass_: Pass, workflow: Workflow[Any, Any]) -> Outcome | None:
    timers = [timer for timer in (_timer(pass_, workflow), _deadline(pass_)) if timer is not None]
    _cancel(pass_)
    try:
        own = await own_outcome(pass_, workflow) if _may_run(pass_) else None
    finally:
        for timer in timers:
            timer.cancel()
    outcome = _closing_outcome(pass_, workflow, own)
    if pass_.undos and pass_.interruption is Closing.CANCELLED and isinstance(outcome, Completed):
        outcome = CancelledOutcome("cancelled")  # which is what it will be
    if pass_.undos and isinstance(outcome, Failed | CancelledOutcome):
        return await _undone(pass_, workflow, outcome)
    return outcome


def _may_run(pass_: Pass) -> bool:
    """One whose time is over is replayed as far as it came, to know what is to be undone."""
    return pass_.closing is None or (pass_.closing is Closing.TIMED_OUT and pass_.execution.passes > 1)


async def _undone(pass_: Pass, workflow: Workflow[Any, Any], outcome: Failed | CancelledOutcome) -> Outcome | None:
    """The outcome once what the workflow did is undone; within its grace, where that is counted."""
    if pass_.closing in (Closing.CANCELLED, Closing.EXPIRED):
        return outcome
    timer = None
    if pass_.closing is Closing.TIMED_OUT:
        left = (_end_of_time(pass_, workflow) + pass_.around.cancel_grace - pass_.now()).total_seconds()
        if left <= 0:
            return outcome
        close = partial(pass_.close, Closing.TIMED_OUT, at_once=True)
        timer = asyncio.get_running_loop().call_later(left, close)
    _surround(pass_, workflow)
    try:
        ended = await undo(pass_, outcome)
    finally:
        if timer is not None:
            timer.cancel()
    return ended or _closing_outcome(pass_, workflow, None)


def _end_of_time(pass_: Pass, workflow: Workflow[Any, Any]) -> datetime:
    assert workflow.timeout is not None
    return pass_.execution.started_at + workflow.timeout


async def own_outcome(pass_: Pass, workflow: Workflow[Any, Any]) -> Outcome | None:
    """What the function made of it; None if it was suspended, or does not end."""
    root = await pass_.run(_called(pass_, workflow))
    if not root.done():
        return None
    if root.cancelled():
        return _failed(asyncio.CancelledError("the workflow's task was cancelled"))
    return root.result()


async def _called(pass_: Pass, workflow: Workflow[Any, Any]) -> Outcome | None:
    try:
        return Completed(await _result(pass_, workflow))
    except (Suspend, Cancelled):
        return None
    except asyncio.CancelledError as error:
        if pass_.closing is not None:
            raise
        return _failed(error)  # the workflow's own doing
    except BaseException as error:  # noqa: BLE001 - user code, which may also raise SystemExit
        return _failed(error)


async def _result(pass_: Pass, workflow: Workflow[Any, Any]) -> bytes:
    try:
        arguments = workflow.input.unbind(pass_.execution.input)
    except InvalidValue as error:
        message = f"{error}; restore the parameter, or cancel this execution and start one with another input"
        await pass_.diverge(Diverged(step="input", expected=error.reason, met="another type", message=message))
    pass_.connection = _connection_of(arguments)
    _surround(pass_, workflow)
    if workflow.is_async:
        pass_.begin(in_thread=False)
        if workflow.step_parameter:
            arguments[workflow.step_parameter] = Step(pass_)
        result = await workflow.function(**arguments)
    else:
        result = await _in_thread(pass_, workflow, arguments)
    try:
        return workflow.output.encode(result)[0]
    except InvalidValue as error:
        raise error.at(f"the result of workflow '{workflow.id}'") from None


def _connection_of(arguments: dict[str, Any]) -> str | None:
    """The connection whose delivery has started the execution."""
    return next((value.connection for value in arguments.values() if isinstance(value, WebhookEvent)), None)


def _surround(pass_: Pass, workflow: Workflow[Any, Any]) -> None:
    """What connectors find in the context of this task, and of those that it begins."""
    egress.set(workflow.egress)
    default_connection.set(pass_.connection)


async def _in_thread(pass_: Pass, workflow: Workflow[Any, Any], arguments: dict[str, Any]) -> Any:
    loop = asyncio.get_running_loop()
    if workflow.step_parameter:
        arguments[workflow.step_parameter] = SyncStep(Step(pass_), loop)
    context = contextvars.copy_context()
    context.run(pass_.begin, in_thread=True)
    work = partial(context.run, in_thread, workflow.function, **arguments)
    return await loop.run_in_executor(pass_.around.workflow_threads, work)


def _timer(pass_: Pass, workflow: Workflow[Any, Any]) -> asyncio.TimerHandle | None:
    """The workflow's timeout counts from its first pass, so neither a crash nor a retry moves it (F89)."""
    if workflow.timeout is None:
        return None
    left = (_end_of_time(pass_, workflow) - pass_.now()).total_seconds()
    if left <= 0:
        pass_.close(Closing.TIMED_OUT)
        return None
    return asyncio.get_running_loop().call_later(left, partial(pass_.close, Closing.TIMED_OUT, at_once=True))


def _deadline(pass_: Pass) -> asyncio.TimerHandle | None:
    """An execution does not begin after its deadline, and is told to stop when it comes."""
    deadline = pass_.execution.deadline_at
    if deadline is None:
        return None
    left = (deadline - pass_.now()).total_seconds()
    if left <= 0 and pass_.execution.passes == 1:
        pass_.close(Closing.EXPIRED)
        return None
    if left <= 0:
        _expire(pass_, deadline)  # before the code gets to diverge, which would park it for ever
        return None
    return asyncio.get_running_loop().call_later(left, _expire, pass_, deadline)


def _expire(pass_: Pass, deadline: datetime) -> None:
    until = _end_of_grace(pass_, deadline)
    pass_.interrupt(Closing.EXPIRED, asked_at=deadline, until=until, reason=EXPIRED)


def _cancel(pass_: Pass) -> None:
    """Somebody asked for it before this pass began."""
    asked_at, why = pass_.execution.cancel_requested_at, pass_.execution.cancel_reason
    if asked_at is not None:
        until = _end_of_grace(pass_, asked_at)
        pass_.interrupt(Closing.CANCELLED, asked_at=asked_at, until=until, reason=why)


def _end_of_grace(pass_: Pass, began: datetime) -> datetime:
    """When the clean-up is cut. If no worker was there in its time, it has a little of it all the same."""
    grace = pass_.around.cancel_grace
    return max(began + grace, pass_.now() + min(grace, LATE_GRACE))


def _is_grace_over(pass_: Pass) -> bool:
    """Whether a clean-up that would wait now has had its time."""
    execution = pass_.execution
    began = {Closing.CANCELLED: execution.cancel_requested_at, Closing.EXPIRED: execution.deadline_at}.get(
        pass_.interruption or Closing.ENDED
    )
    return began is not None and pass_.now() >= began + pass_.around.cancel_grace


def _closing_outcome(pass_: Pass, workflow: Workflow[Any, Any], own: Outcome | None) -> Outcome | None:
    """The function's own outcome counts only if none of its durable calls was cut, and it was not told to stop."""
    match pass_.closing:
        case Closing.LOST:
            return None
        case Closing.DIVERGED if pass_.interruption is None:  # else: code that fits may never come
            return Suspended(pass_.now() + PARKED_FOR, f"parked: {pass_.divergence}; not looked at again")
        case Closing.TIMED_OUT:
            return _timed_out(workflow)
        case _ if not pass_.was_refused and not pass_.was_told and own is not None:
            return own
        case Closing.SUSPENDED if not _is_grace_over(pass_):
            return _suspended(pass_, workflow)
        case Closing.HANDED_BACK | Closing.PAUSED:
            return Suspended(pass_.now(), "handed back")
        case _:
            return CancelledOutcome(EXPIRED if Closing.EXPIRED in (pass_.closing, pass_.interruption) else "cancelled")


def _suspended(pass_: Pass, workflow: Workflow[Any, Any]) -> Outcome:
    """What the pass waits for; not beyond the workflow's timeout, the execution's deadline or the end of its grace."""
    outside = [wait.reason for wait in pass_.waits if wait.is_outside]
    until, reason = min(_timed(pass_, workflow), default=(None, ""))
    if not outside:
        assert until is not None, "a pass is suspended by its waits"
        return Suspended(until, reason)
    more = [f"{len(outside)} in all"] if len(outside) > MAX_TOLD else []
    told = [*dict.fromkeys(outside[:MAX_TOLD]), *more]
    return Waiting(until, "; ".join(told), pass_.execution.signals)


def _timed(pass_: Pass, workflow: Workflow[Any, Any]) -> Iterator[_Until]:
    yield from (_Until(wait.until, wait.reason) for wait in pass_.waits if wait.until is not None)
    execution, grace = pass_.execution, pass_.around.cancel_grace
    if workflow.timeout is not None:
        end = _end_of_time(pass_, workflow)
        is_over = pass_.is_undoing and end <= pass_.now()
        yield _Until(end + (grace if is_over else timedelta(0)), "the workflow's timeout")
    if execution.deadline_at is not None:
        yield _Until(execution.deadline_at + (grace if pass_.interruption else timedelta(0)), "the deadline")
    if pass_.interruption is Closing.CANCELLED:
        yield _Until((execution.cancel_requested_at or pass_.now()) + grace, "the end of its clean-up")


def _timed_out(workflow: Workflow[Any, Any]) -> Failed:
    assert workflow.timeout is not None
    message = f"workflow '{workflow.id}' took longer than its timeout of {workflow.timeout}"
    return Failed(encode_failure(Failure("WorkflowTimeout", message)), message)


def _failed(error: BaseException) -> Failed:
    failure = failure_of(error)
    return Failed(
        encode_failure(failure), f"{failure.type}: {failure.message}"[:500], tuple(dict.fromkeys(_failed_steps(error)))
    )


def _failed_steps(error: BaseException) -> Iterator[str]:
    """The steps whose failure is this error: `retry` runs them again."""
    if isinstance(error, StepFailed):
        yield from error.steps
    elif isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _failed_steps(part)
    elif (cause := cause_of(error)) is not None:
        yield from _failed_steps(cause)
