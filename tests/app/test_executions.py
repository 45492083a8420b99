"""Looking at executions and changing them: result, status, list, steps, cancel, retry."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from stepwell import (
    App,
    ExecutionCancelled,
    ExecutionFailed,
    InvalidOption,
    NotAllowed,
    Permanent,
    ResultTimeout,
    Retry,
    Status,
    Step,
    UnknownExecution,
)


async def test_result_that_takes_longer_than_allowed_is_asked_for_again_later(app: App) -> None:
    @app.workflow
    async def flow() -> str:
        return "done"

    handle = await app.start(flow)
    with pytest.raises(ResultTimeout, match="is still pending; it goes on") as caught:
        await handle.result("20ms")

    assert (caught.value.execution_id, caught.value.status) == (handle.id, "pending")
    assert isinstance(caught.value, TimeoutError)
    async with app.worker():
        assert await handle.result("30s") == "done"


async def test_result_comes_within_milliseconds_of_the_end(app: App) -> None:
    """Pushed, not polled for: a hundred ends one after the other take far less than a hundred polls."""

    @app.workflow
    async def flow() -> str:
        return "done"

    async with app.worker(), asyncio.timeout(30):
        for _ in range(100):
            await (await app.start(flow)).result()


async def test_many_may_wait_for_one_result_and_one_for_many(app: App) -> None:
    @app.workflow
    async def flow(number: int) -> int:
        return number

    handles = await app.start_many(flow, range(20))
    waiting = [asyncio.create_task(handle.result("30s")) for handle in handles for _ in range(5)]
    waiting[7].cancel()
    async with app.worker():
        found = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(found.pop(7), asyncio.CancelledError)
    assert found == [number for number in range(20) for time in range(5) if (number, time) != (1, 2)]


async def test_failed_execution_tells_what_failed_it(app: App) -> None:
    async def refuse() -> None:
        raise Permanent("no such order\0\ud800")

    @app.workflow
    async def in_step(step: Step) -> None:
        await step.run("refuse", refuse)

    @app.workflow
    async def in_workflow() -> None:
        raise LookupError("no customer")

    inner, outer = await app.start(in_step), await app.start(in_workflow)
    async with app.worker():
        with pytest.raises(ExecutionFailed) as first:
            await inner.result("30s")
        with pytest.raises(ExecutionFailed) as second:
            await outer.result("30s")

    assert first.value.execution_id == inner.id
    assert first.value.error_type == "stepwell.errors.StepFailed"
    assert "step 'refuse' failed after 1 attempt: stepwell.errors.Permanent: no such order" in first.value.message
    assert (second.value.error_type, second.value.message) == ("LookupError", "no customer")
    assert "in in_workflow" in (second.value.traceback or "")
    seen = await app.get(outer.id)
    assert (seen.status, seen.why) == (Status.FAILED, "LookupError: no customer")


async def test_short_retries_stay_in_one_pass_and_long_ones_do_not(app: App) -> None:
    errors = [ValueError("once"), ValueError("twice")]

    async def flaky() -> str:
        if errors:
            raise errors.pop()
        return "ok"

    @app.workflow
    async def flow(step: Step) -> str:
        found = await step(retry=Retry(3, first_delay="20ms")).run("work", flaky)
        await step.sleep("short", "10ms")
        await step.sleep("long", "2100ms")
        return found

    handle = await app.start(flow)
    async with app.worker():
        assert await handle.result("20s") == "ok"

    assert (await app.get(handle.id)).passes == 2


async def test_execution_says_why_it_does_not_move(app: App) -> None:
    @app.workflow
    async def flow(step: Step) -> None:
        await step.sleep("cool-down", "7d")

    handle = await app.start(flow)
    seen = await app.get(handle.id)
    assert seen.why == "no worker has this workflow"
    async with app.worker():
        with pytest.raises(ResultTimeout):
            await handle.result("200ms")
        seen = await app.get(handle.id)

    assert seen.status is Status.PENDING
    assert seen.why is not None
    assert seen.why.startswith("timer 'cool-down' until ")
    assert seen.why.endswith(" UTC")


async def test_listing_is_by_status_workflow_key_and_tag_in_pages(app: App) -> None:
    @app.workflow
    async def good(number: int) -> None:
        return None

    @app.workflow
    async def bad(number: int) -> None:
        raise ValueError("no")

    goods = [await app.start(good, n, tags=["even"] if n % 2 == 0 else [], key=f"good-{n}") for n in range(6)]
    bads = await app.start_many(bad, range(3), tags=["even", "odd"])
    async with app.worker():
        for handle in goods:
            await handle.result("30s")
        await asyncio.gather(*(handle.result("30s") for handle in bads), return_exceptions=True)

    def ids(found: Any) -> list[UUID]:
        return [one.id for one in found]

    assert set(ids(await app.list(status="failed"))) == {handle.id for handle in bads}
    assert set(ids(await app.list(status=Status.COMPLETED, workflow=good))) == {handle.id for handle in goods}
    assert ids(await app.list(key="good-3")) == [goods[3].id]
    assert len(await app.list(tags=["even"])) == 6
    assert len(await app.list(tags=["even"], status="completed", workflow="good")) == 3
    first = await app.list(limit=5)
    second = await app.list(limit=5, before=first[-1].id)
    assert ids([*first, *second]) == ids(await app.list())


async def test_steps_tell_every_outcome_and_failed_attempt(app: App) -> None:
    errors = [ValueError("once")]

    async def flaky() -> str:
        if errors:
            raise errors.pop()
        return "ok"

    @app.workflow
    async def flow(step: Step) -> None:
        await step(retry=Retry(3, first_delay="1ms")).run("work", flaky)
        await step.map("items", str, range(3))
        await step.now()

    handle = await app.start(flow)
    async with app.worker():
        await handle.result("30s")
    records = await app.steps(handle.id)

    assert [(one.key, one.attempt, one.is_failure) for one in records] == [
        ("items", 1, False),
        ("items/#0", 1, False),
        ("items/#1", 1, False),
        ("items/#2", 1, False),
        ("now", 1, False),
        ("work", 1, True),
        ("work", 2, False),
    ]
    assert records[-1].value == b'"ok"'
    assert all(one.recorded_at <= datetime.now(UTC) for one in records)


async def test_cancelled_and_retried_execution_goes_on(app: App) -> None:
    @app.workflow
    async def flow() -> str:
        return "done"

    handle = await app.start(flow, delay="1d")
    assert await handle.cancel(reason="duplicate '; --") is Status.CANCELLED
    with pytest.raises(ExecutionCancelled, match="duplicate '; --"):
        await handle.result("30s")
    assert await app.retry(handle.id) is Status.PENDING
    async with app.worker():
        assert await handle.result("30s") == "done"
    with pytest.raises(NotAllowed):
        await handle.cancel()
    with pytest.raises(NotAllowed):
        await app.retry(handle.id)


async def test_running_step_learns_of_its_cancelling_and_the_execution_ends_cancelled(app: App) -> None:
    """F51."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await may_end.wait()

    @app.workflow
    async def flow(step: Step) -> str:
        await step.run("slow", slow)
        return "done"

    handle = await app.start(flow)
    async with app.worker():
        await begun.wait()
        assert await handle.cancel() is Status.RUNNING
        may_end.set()
        with pytest.raises(ExecutionCancelled):
            await handle.result("30s")


@pytest.mark.parametrize("call", ["result", "get", "status", "steps", "cancel", "retry"])
async def test_unknown_execution_is_told_by_its_id(app: App, call: str) -> None:
    unknown = uuid4()

    with pytest.raises(UnknownExecution, match=str(unknown)):
        await getattr(app, call)(unknown)
    with pytest.raises(UnknownExecution, match=str(unknown)):
        await getattr(app, call)(str(unknown))


@pytest.mark.parametrize("text", ["", "7", "not-an-id", "'; --", "\0", "\ud800", 7, None, b"id"])
async def test_what_is_no_id_is_refused(app: App, text: Any) -> None:
    for call in (app.result, app.get, app.cancel, app.retry, app.steps):
        with pytest.raises(InvalidOption, match="is no execution id"):
            await call(text)


@pytest.mark.parametrize(
    "options",
    [
        {"status": "done"},
        {"limit": 0},
        {"limit": -1},
        {"limit": 10**12},
        {"limit": "5"},
        {"limit": 1.5},
        {"before": "x"},
    ],
)
async def test_listing_by_what_makes_no_sense_is_refused(app: App, options: Any) -> None:
    with pytest.raises(InvalidOption):
        await app.list(**options)


@pytest.mark.parametrize("limit", [0, -1, 10**12, "5", None])
async def test_every_listing_refuses_a_limit_that_makes_no_sense(app: App, limit: Any) -> None:
    for call in (app.list, app.events, app.waits, app.audit, app.deliveries):
        with pytest.raises(InvalidOption, match=r"limit is .*, use 1 to "):
            await call(limit=limit)
