"""Running a step's body: attempts, time-outs, retries, and the one outcome that is stored."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from stepwell.core.failure import Failure, failure_of
from stepwell.core.model import Checkpoint, FailedAttempt, Kind, NewCheckpoint
from stepwell.core.retry import Retry, delay_after
from stepwell.errors import Diverged, InvalidValue, NotYet, StepFailed, StepTimeout
from stepwell.failpoints import failpoint
from stepwell.running import StepContext, running_step
from stepwell.runtime.calls import check_digest, durable, recall
from stepwell.runtime.functions import Shape, in_thread
from stepwell.runtime.passes import Key, Pass, Wait
from stepwell.stored_failures import decode_failure, encode_failure

CANCELLED = "stepwell.CancelledByWorkflow"  # the stored failure type of a step that user code cancelled


class Call(NamedTuple):
    """One durable call of a function: what it is called, what it calls, and how."""

    key: Key
    kind: Kind
    function: Callable[..., Any]
    shape: Shape
    retry: Retry
    timeout: timedelta | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    digest: int


Body = Callable[[Pass, Call], Awaitable[Any]]


class Deferred(Exception):
    """The outcome will be there some time later; only who asked for it gets to see this."""

    def __init__(self, wait: Wait) -> None:
        self.wait = wait


@durable
async def run(pass_: Pass, call: Call, body: Body | None = None) -> Any:
    """The outcome of a durable call: the stored one, or that of its attempts."""
    found = await recall(pass_, call.key, call.kind)
    if found is None:
        return await perform(pass_, call, body or plain_body)
    if found.is_failure and was_cancelled(found):
        await asyncio.Event().wait()  # until the workflow cancels it again
    return replayed(pass_, call, found)


def replayed(pass_: Pass, call: Call, stored: Checkpoint) -> Any:
    """What a stored outcome is for the workflow: its value, decoded afresh, or the StepFailed it was.

    Raises Diverged when the call is not the one that was stored.
    """
    check_digest(pass_, call.key, stored.digest, call.digest)
    if stored.is_failure:
        raise step_failed(call.key, stored.value)
    try:
        return call.shape.codec.decode(stored.value)
    except InvalidValue as error:
        expected = f"stored in a form that its annotation does not read ({error.reason})"
        raise Diverged(step=call.key, expected=expected, met="of another type") from error


def step_failed(key: Key, value: bytes) -> StepFailed:
    """The error that a stored failure raises in the workflow, the same on the first pass as on any replay."""
    failure = decode_failure(value)
    failed = StepFailed(
        step=key,
        attempts=failure.attempts,
        error_type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
        causes=failure.causes,
    )
    if failure.traceback:
        failed.add_note(f"What the step raised:\n\n{failure.traceback}")
    return failed


async def perform(pass_: Pass, call: Call, body: Body, *, is_deferrable: bool = False) -> Any:
    """The outcome of a call that has none yet. A deferrable one raises Deferred instead of waiting long for a retry."""
    attempt = pass_.replay.attempt(call.key)
    retry_at, reason, is_outside = pass_.replay.retry_at(call.key), "", False
    while True:
        if retry_at is not None:
            reason = reason or f"step '{call.key}' is tried again (attempt {attempt})"
            if is_deferrable and retry_at - pass_.now() > pass_.around.short_wait:
                raise Deferred(Wait(retry_at, reason, is_outside))
            if is_outside:
                await pass_.block(Wait(retry_at, reason, is_outside))
            await pass_.wait_until(retry_at, reason)
        await pass_.begin_work(call.key)
        try:
            error, value = await _attempt(pass_, call, body, attempt)
            if error is None:
                return value
            if isinstance(error, NotYet):
                retry_at, reason = pass_.now() + error.delay, f"step '{call.key}': {error.reason}"
                is_outside = error.is_outside
                continue
            delay = delay_after(error, call.retry, attempt, random=pass_.around.random)
            if delay is None:
                raise await _give_up(pass_, call, error, attempt)
            retry_at = pass_.now() + delay
            stored = encode_failure(failure_of(error, attempts=attempt))
            await pass_.store(FailedAttempt(pass_.id, call.key, attempt, retry_at, stored))
            attempt, reason, is_outside = attempt + 1, "", False
        except asyncio.CancelledError:
            if pass_.closing is None and not pass_.is_stray:
                _note_cancelled(pass_, call)
            raise
        finally:
            pass_.leave()


def _note_cancelled(pass_: Pass, call: Call) -> None:
    """User code has cancelled the step. Without an outcome its body would start again on every pass.

    The row is not waited for: later rows of the execution are stored after it. An item of a map is begun again instead.
    """
    if call.kind is not Kind.ITEM:
        stored = encode_failure(Failure(CANCELLED, "cancelled by the workflow"))
        row = NewCheckpoint(pass_.id, call.key, call.kind, call.digest, stored, is_failure=True)
        pass_.note(row)


def was_cancelled(stored: Checkpoint) -> bool:
    """Whether the workflow itself cancelled the step on the first pass, as it will now."""
    return decode_failure(stored.value).type == CANCELLED


async def _attempt(pass_: Pass, call: Call, body: Body, attempt: int) -> tuple[BaseException | None, Any]:
    """Run the body once: (its error, its value). Broadly caught: this is where user code runs.

    SystemExit and KeyboardInterrupt, let through in a task, would end the event loop and with it the worker (F24).
    """
    failpoint("before_step")
    step = running_step.set(StepContext(pass_.id, call.key, attempt, pass_.execution.passes))
    try:
        return None, await body(pass_, call)
    except InvalidValue as error:
        return error.at(f"step '{call.key}'"), None
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
        return error, None
    finally:
        running_step.reset(step)


async def _give_up(pass_: Pass, call: Call, error: BaseException, attempts: int) -> StepFailed:
    stored = encode_failure(failure_of(error, attempts=attempts))
    row = NewCheckpoint(pass_.id, call.key, call.kind, call.digest, stored, is_failure=True)
    await pass_.store(row)
    return step_failed(call.key, stored)


async def plain_body(pass_: Pass, call: Call) -> Any:
    """Run the function and store what it returned."""
    value = await invoke(pass_, call, call.args)
    failpoint("after_step_body")
    return await keep(pass_, call, value)


async def keep(pass_: Pass, call: Call, value: Any) -> Any:
    """Store the value as the call's outcome; the answer is what it decodes to."""
    stored, value = call.shape.codec.encode(value)
    failpoint("before_step_commit")
    await pass_.store(NewCheckpoint(pass_.id, call.key, call.kind, call.digest, stored))
    failpoint("after_step_commit")
    return value


async def invoke(pass_: Pass, call: Call, args: tuple[Any, ...]) -> Any:
    """What the function returns: on the event loop if it is async, else in a thread; within its time-out."""
    if call.shape.is_async:
        return await _within_timeout(pass_, call, args)
    async with pass_.around.thread_slots:  # waiting for a thread is not the function's time
        return await _within_timeout(pass_, call, args)


async def _within_timeout(pass_: Pass, call: Call, args: tuple[Any, ...]) -> Any:
    if call.timeout is None:
        return await _invoke(pass_, call, args)
    try:
        async with asyncio.timeout(call.timeout.total_seconds()) as limit:
            return await _invoke(pass_, call, args)
    except (TimeoutError, NotYet):  # what a clean-up raises when it is cut would be no attempt, for ever
        if limit.expired():
            raise StepTimeout(step=call.key, timeout=call.timeout) from None
        raise


async def _invoke(pass_: Pass, call: Call, args: tuple[Any, ...]) -> Any:
    if call.shape.is_async:
        return await call.function(*args, **call.kwargs)
    work = partial(copy_context().run, in_thread, call.function, *args, **call.kwargs)
    value = await asyncio.get_running_loop().run_in_executor(pass_.around.threads, work)
    return await value if inspect.isawaitable(value) else value
