"""What a type checker makes of workflows and of what is started. Checked, not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type
from uuid import UUID

from stepwell import App, Execution, Handle, Retry, Status, Step, StepRecord, SyncStep, Workflow

app = App()


@app.workflow
async def plain_decorator(number: int, step: Step) -> str:
    raise NotImplementedError


@app.workflow(id="other", queue="slow", retry=Retry(3), timeout="1h")
async def with_options(number: int, step: Step) -> str:
    raise NotImplementedError


@app.workflow
def not_async(number: int, step: SyncStep) -> bytes:
    raise NotImplementedError


def workflows_keep_their_parameters_and_result() -> None:
    one: Workflow[[int, Step], str] = plain_decorator
    two: Workflow[[int, Step], str] = with_options
    three: Workflow[[int, SyncStep], bytes] = not_async
    assert_type([one.id, two.id, three.id], list[str])


async def handles_know_their_result() -> None:
    handle = await app.start(plain_decorator, 7, key="a", tags=["b"], delay="1h")
    assert_type(handle, Handle[str])
    assert_type(await handle.result("10s"), str)
    assert_type(await handle.status(), Status)
    assert_type(await app.start(with_options, {"number": 7}), Handle[str])
    assert_type(await (await app.start(not_async, 7)).result(), bytes)
    assert_type(await app.start_many(plain_decorator, [1, 2]), list[Handle[str]])


async def workflow_known_by_its_name_only_has_any_result() -> None:
    assert_type(await app.start("other", {"number": 7}), Handle[Any])
    assert_type(await app.start_many("other", [{"number": 7}]), list[Handle[Any]])
    assert_type(app.sync.start("other", {"number": 7}).result(), Any)


async def reading_and_changing() -> None:
    assert_type(await app.get("0192f0c1-0000-7000-8000-000000000000"), Execution)
    assert_type(await app.list(status="failed", workflow=with_options), Sequence[Execution])
    assert_type(await app.list(status=Status.FAILED, limit=10), Sequence[Execution])
    assert_type(await app.steps(UUID(int=1)), list[StepRecord])
    assert_type(await app.cancel(UUID(int=1), reason="duplicate"), Status)
    assert_type(await app.retry(UUID(int=1)), Status)
    assert_type(await app.result(UUID(int=1)), Any)


def the_same_without_an_event_loop() -> None:
    handle = app.sync.start(plain_decorator, 7)
    assert_type(handle.result("10s"), str)
    assert_type(handle.status(), Status)
    assert_type([one.result() for one in app.sync.start_many(not_async, [1, 2])], list[bytes])


async def wrong_calls_are_errors() -> None:
    await app.start(7)  # type: ignore[call-overload]
    await app.start(plain_decorator, 7, "key")  # type: ignore[call-overload]
    await app.cancel(UUID(int=1), "duplicate")  # type: ignore[call-arg]
    await app.list("failed")  # type: ignore[call-arg]
    app.workflow(retry=3)  # type: ignore[call-overload]
    plain_decorator("7")  # type: ignore[call-arg, arg-type]
