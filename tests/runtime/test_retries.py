"""Failed attempts: how many, when the next one comes, and what is the end of it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

import stepwell
from stepwell import (
    ExecutionFailed,
    NotYet,
    Permanent,
    Retry,
    RetryAfter,
    Status,
    Step,
    StepContext,
    StepFailed,
    current_step,
)
from stepwell.core.model import Batch, ClaimRequest, FailedAttempt, WorkerInfo
from tests.runtime.lab import DAY, HOUR, MINUTE, Cut, Lab, Ledger


class KeywordOnly(Exception):
    def __init__(self, *, order: int) -> None:
        super().__init__(f"order {order}")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Flaky:
    """A step's body that fails some times before it succeeds, and remembers who asked."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.contexts: list[StepContext] = []

    async def __call__(self) -> str:
        self.contexts.append(current_step())
        if self.errors:
            raise self.errors.pop(0)
        return "ok"

    @property
    def attempts(self) -> list[int]:
        return [context.attempt for context in self.contexts]


def failing(error: BaseException) -> Any:
    """A step's body that always fails."""

    async def fail() -> None:
        raise error

    return fail


async def outcome(lab: Lab, body: Any, retry: Retry | None = None) -> StepFailed | str:
    """What a workflow sees of one step."""
    seen: list[Any] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        try:
            seen.append(await step(retry=retry).run("work", body))
        except StepFailed as failed:
            seen.append(failed)

    await lab.run(flow)
    found: StepFailed | str = seen[0]
    return found


async def test_failed_step_is_tried_again_until_it_succeeds(lab: Lab) -> None:
    flaky = Flaky(ValueError("once"), ValueError("twice"))

    assert await outcome(lab, flaky) == "ok"
    assert flaky.attempts == [1, 2, 3]


async def test_every_attempt_offers_the_same_idempotency_key(lab: Lab) -> None:
    """F22."""
    flaky, other = Flaky(ValueError("once"), ValueError("twice")), Flaky()

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("work", flaky)
        await step.run("work", other)

    await lab.run(flow)

    assert len({context.idempotency_key for context in flaky.contexts}) == 1
    assert flaky.contexts[0].idempotency_key != other.contexts[0].idempotency_key
    assert flaky.contexts[0].execution_id == other.contexts[0].execution_id


@pytest.mark.parametrize("at", range(2, 14))
async def test_attempts_are_counted_on_across_crashes(lab: Lab, at: int) -> None:
    flaky = Flaky(*[ValueError("again")] * 9)

    @lab.app.workflow
    async def flow(step: Step) -> int:
        try:
            await step(retry=Retry(4, first_delay="1h", factor=1)).run("work", flaky)
        except StepFailed as failed:
            return failed.attempts
        return 0

    handle = await lab.app.start(flow)
    lab.store.cut = Cut(at, is_before=at % 2 == 0)
    await lab.survive(handle)

    assert await lab.result(handle) == 4
    assert sorted(set(flaky.attempts)) == [1, 2, 3, 4]
    assert flaky.attempts == sorted(flaky.attempts)
    assert len(flaky.attempts) <= 5


async def test_attempt_that_a_crash_has_cut_does_not_count(lab: Lab) -> None:
    flaky = Flaky()

    async def work() -> str:
        if not flaky.contexts:
            await flaky()
            lab.store.cut_off()
        return await flaky()

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(1)).run("work", work)

    handle = await lab.app.start(flow)
    await lab.survive(handle)

    assert await lab.result(handle) == "ok"
    assert flaky.attempts[0] == flaky.attempts[-1] == 1


async def test_step_that_used_up_its_attempts_has_failed(lab: Lab) -> None:
    flaky = Flaky(*[ValueError(str(number)) for number in range(9)])

    failed = await outcome(lab, flaky, Retry(3))

    assert isinstance(failed, StepFailed)
    assert flaky.attempts == [1, 2, 3]
    assert (failed.step, failed.attempts, failed.error_type, failed.message) == ("work", 3, "ValueError", "2")


async def test_permanent_error_is_not_retried(lab: Lab) -> None:
    flaky = Flaky(Permanent("no such order"))

    failed = await outcome(lab, flaky)

    assert isinstance(failed, StepFailed)
    assert flaky.attempts == [1]
    assert failed.attempts == 1


async def test_errors_to_give_up_on_are_not_retried(lab: Lab) -> None:
    flaky = Flaky(ValueError("retried"), KeyError("given up on"))

    failed = await outcome(lab, flaky, Retry(give_up_on=(LookupError,)))

    assert isinstance(failed, StepFailed)
    assert flaky.attempts == [1, 2]
    assert failed.error_type == "KeyError"


async def test_error_says_when_to_come_back(lab: Lab) -> None:
    began = lab.store.now()

    assert await outcome(lab, Flaky(RetryAfter("3h"), RetryAfter(1800))) == "ok"
    assert lab.store.now() - began == timedelta(hours=3.5)


async def test_error_that_says_when_to_come_back_counts_as_an_attempt(lab: Lab) -> None:
    """F62: a vendor that is always busy does not keep an execution for ever."""
    failed = await outcome(lab, Flaky(*[RetryAfter("1h")] * 9), Retry(3))

    assert isinstance(failed, StepFailed)
    assert failed.attempts == 3


async def test_step_that_cannot_run_yet_waits_as_often_as_it_takes_without_using_up_attempts(lab: Lab) -> None:
    flaky = Flaky(*[NotYet("1h", "the rate limit is used up")] * 9, ValueError("no"))
    began = lab.store.now()

    assert await outcome(lab, flaky, Retry(2)) == "ok"
    assert lab.store.now() - began >= 9 * HOUR
    assert flaky.attempts == [1] * 10 + [2]


async def test_listing_says_why_a_step_cannot_run_yet(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step.run("fetch", failing(NotYet("1h", "the rate limit is used up")))

    seen = await lab.run_to_rest(await lab.app.start(flow))

    assert (seen.status, seen.due_at) == (Status.PENDING, lab.store.now() + HOUR)
    assert seen.why is not None
    assert "'fetch': the rate limit is used up" in seen.why


async def test_ten_thousandth_attempt_at_a_steep_factor_comes_within_the_longest_delay(lab: Lab) -> None:
    """F62: the delay neither overflows nor loses the execution."""
    flaky = Flaky(ValueError("no"), ValueError("no"))

    @lab.app.workflow
    async def flow(step: Step) -> str:
        return await step(retry=Retry(10_001, first_delay="1s", factor=10, max_delay="1d")).run("work", flaky)

    handle = await lab.app.start(flow)
    session = await lab.store.open_session(WorkerInfo("earlier", ("flow",)), lease_for=MINUTE)
    await lab.store.claim(session, ClaimRequest(("default",), ("flow",), 1))
    await lab.store.flush(session, Batch(attempts=[FailedAttempt(handle.id, "work", 9_998, lab.store.now(), b"{}")]))
    await lab.store.close_session(session)
    began = lab.store.now()
    async with lab.worker():
        assert await lab.result(handle) == "ok"

    assert flaky.attempts == [9_999, 10_000, 10_001]
    assert lab.store.now() - began <= 2 * DAY


async def test_long_delay_gives_everything_back_and_the_execution_says_why(lab: Lab) -> None:
    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step(retry=Retry(3, first_delay="1h")).run("fetch", failing(RetryAfter("1h", "busy")))

    handle = await lab.app.start(flow)
    seen = await lab.run_to_rest(handle)

    assert (seen.status, seen.due_at) == (Status.PENDING, lab.store.now() + HOUR)
    assert seen.why is not None
    assert "'fetch'" in seen.why
    assert "attempt 2" in seen.why


async def test_failed_attempts_can_be_looked_up(lab: Lab) -> None:
    flaky = Flaky(ValueError("busy"), ValueError("busy"))

    @lab.app.workflow
    async def flow(step: Step) -> None:
        await step(retry=Retry(3, first_delay="1h")).run("fetch", flaky)

    handle = await lab.app.start(flow)
    async with lab.worker():
        await lab.result(handle)
    records = await lab.app.steps(handle.id)

    assert [(one.key, one.attempt, one.is_failure, one.retry_at is not None) for one in records] == [
        ("fetch", 1, True, True),
        ("fetch", 2, True, True),
        ("fetch", 3, False, False),
    ]


async def test_step_is_not_tried_before_its_time_though_another_branch_wakes_the_pass(lab: Lab) -> None:
    tried_at: list[datetime] = []

    async def work() -> None:
        tried_at.append(lab.store.now())
        if len(tried_at) < 3:
            raise RetryAfter("1d")

    @lab.app.workflow
    async def flow(step: Step) -> None:
        async def ticks() -> None:
            for _ in range(48):
                await step.sleep("tick", "1h")

        await asyncio.gather(step.run("work", work), ticks())

    await lab.run(flow)

    assert [later - earlier for earlier, later in pairwise(tried_at)] == [DAY, DAY]


async def test_options_of_the_call_come_before_those_of_the_function_and_of_the_workflow(lab: Lab) -> None:
    @stepwell.step(retry=Retry(2, first_delay="1s"))
    async def declared() -> None:
        raise ValueError("no")

    @lab.app.workflow(retry=Retry(3, first_delay="1s"))
    async def flow(step: Step) -> list[int]:
        attempts = []
        for call in (
            lambda: step(retry=Retry(4, first_delay="1s")).run(declared),
            lambda: step.run(declared),
            lambda: step.run("undeclared", failing(ValueError("no"))),
        ):
            try:
                await call()
            except StepFailed as failed:
                attempts.append(failed.attempts)
        return attempts

    assert await lab.run(flow) == [4, 2, 3]


# --- what errors may be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "type_name", "message"),
    [
        (KeywordOnly(order=7), f"{__name__}.KeywordOnly", "order 7"),
        (Mute(), f"{__name__}.Mute", "(its message cannot be shown)"),
        (ExceptionGroup("both", [ValueError("a"), KeyError("b")]), "ExceptionGroup", "both (2 sub-exceptions)"),
        (psycopg.OperationalError("server closed"), "psycopg.OperationalError", "server closed"),
        (psycopg.errors.AdminShutdown("terminating"), "psycopg.errors.AdminShutdown", "terminating"),
        (stepwell.DatabaseUnavailable("mine"), "stepwell.errors.DatabaseUnavailable", "mine"),
        (ValueError("a\0b\ud800"), "ValueError", "a\\x00b\\ud800"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt("stop"), "KeyboardInterrupt", "stop"),
        (StopIteration("end"), "RuntimeError", "coroutine raised StopIteration"),
        (TimeoutError("theirs"), "TimeoutError", "theirs"),
    ],
)
@pytest.mark.parametrize("is_parallel", [False, True])
async def test_whatever_a_step_raises_is_its_own_failure(
    lab: Lab, error: BaseException, type_name: str, message: str, is_parallel: bool
) -> None:
    """F24, F68, F72: the engine neither takes it for its own nor ends with it."""
    seen: list[StepFailed] = []

    @lab.app.workflow
    async def flow(step: Step) -> None:
        call = step(retry=Retry(2, first_delay="1s")).run("work", failing(error))
        try:
            await (asyncio.gather(call, step.sleep("pause", "1h")) if is_parallel else call)
        except StepFailed as failed:
            seen.append(failed)

    await lab.run(flow)

    (failed,) = seen[-1:]
    assert (failed.error_type, failed.message, failed.attempts) == (type_name, message, 2)
    assert len(lab.store.sessions) == 1


@pytest.mark.parametrize("error", [StopIteration("end"), SystemExit(3), KeyboardInterrupt("stop")])
async def test_whatever_a_plain_function_raises_in_its_thread_is_its_own_failure(
    lab: Lab, error: BaseException
) -> None:
    """F24: some exceptions cannot pass through a future."""

    def fail() -> None:
        raise error

    failed = await outcome(lab, fail, Retry(1))

    assert isinstance(failed, StepFailed)


@pytest.mark.parametrize(
    "error", [ValueError("a\0b"), SystemExit(3), psycopg.OperationalError("gone"), asyncio.CancelledError("own")]
)
async def test_whatever_a_workflow_raises_is_its_own_failure(lab: Lab, error: BaseException) -> None:
    """F24, F7: nothing is stranded."""

    @lab.app.workflow
    async def flow(step: Step) -> None:
        raise error

    with pytest.raises(ExecutionFailed) as caught:
        await lab.run(flow)

    assert caught.value.error_type.endswith(type(error).__name__)
    assert type(error).__name__ in (caught.value.traceback or "")
    assert len(lab.store.sessions) == 1


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, float("nan")]}, "$.a[1]"),
        ({"lock": {1, 2}}, "$.lock"),
        ({"key": {1: "x"}}, "$.key"),
        (object(), "$"),
        ("\ud800", "$"),
        (2**70, "$"),
        ("x" * 20_000_000, "$"),
    ],
)
async def test_value_that_cannot_be_stored_fails_its_step_at_once_by_name_and_place(
    lab: Lab, ledger: Ledger, value: object, place: str
) -> None:
    """F22, F69, F71, F73, F74: the step is not run again for it."""

    async def fetch() -> Any:
        ledger.note()
        return value

    failed = await outcome(lab, fetch)

    assert isinstance(failed, StepFailed)
    assert failed.error_type in ("stepwell.errors.InvalidValue", "stepwell.errors.PayloadTooLarge")
    assert failed.message.startswith(f"step 'work': {place} ")
    assert ledger.entries == ["work"]


async def test_value_that_contains_itself_fails_its_step(lab: Lab) -> None:
    """F73."""
    value: list[Any] = []
    value.append(value)

    failed = await outcome(lab, lambda: value)

    assert isinstance(failed, StepFailed)
    assert "contains itself" in failed.message


async def test_result_that_cannot_be_stored_fails_the_workflow_by_name(lab: Lab) -> None:
    """F73."""

    @lab.app.workflow
    async def flow() -> Any:
        return {"when": datetime(2030, 1, 1)}  # noqa: DTZ001

    with pytest.raises(ExecutionFailed, match=r"result of workflow 'flow': \$\.when"):
        await lab.run(flow)
