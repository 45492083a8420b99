"""Executions in every state, made by a real worker in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

from stepwell import App, Permanent, Retry, Status, Step, current_step
from stepwell.app.follow import Waits, follow

T = TypeVar("T")


def sample_app(database_url: str) -> App:
    """An App whose workflows end in the ways there are."""
    app = App(database_url)

    @app.workflow
    async def order(n: int, step: Step) -> dict[str, int]:
        impatient = step(retry=Retry(3, first_delay="1ms"))
        doubled = await impatient.run("double", double_at_second_try, n)
        items = await step.map("each", double, range(n))
        return {"doubled": doubled, "items": len(items)}

    @app.workflow
    async def nested(step: Step) -> None:
        async def inner(n: int) -> None:
            await asyncio.gather(later(n), later(n))

        async def later(n: int) -> None:
            await asyncio.sleep(0)
            await step.run("in-branch", double, n)

        async def outer() -> None:
            await step.run("begun", double, 1)
            await inner(1)

        await asyncio.gather(outer(), outer())

    @app.workflow
    async def refused(step: Step) -> None:
        await step.run("look-up", refuse)

    @app.workflow
    async def sleeper(step: Step) -> None:
        await step.sleep("winter", "90d")

    @app.workflow
    async def approval(number: str, step: Step) -> Any:
        return await step.wait_for_event("decision", event="approved", key=number)

    @app.workflow
    async def charge(step: Step) -> str:
        paid = await step.effect("pay", str, "paid")
        await step.wait_for_event("go")
        return paid

    @app.workflow
    async def family(step: Step) -> None:
        await step.start("aside", sleeper)
        await step.call("decide", approval, "1")

    return app


def double_at_second_try(n: int) -> int:
    if current_step().attempt == 1:
        raise ConnectionError("the service is down")
    return 2 * n


def double(n: int) -> int:
    return 2 * n


def refuse() -> None:
    raise Permanent("no such customer: [red]Ada[/red] \x1b[31m")


def with_worker(database_url: str, work: Callable[[App], Coroutine[Any, Any, T]]) -> T:
    """What `work` returns; meanwhile a worker runs."""

    async def whole() -> T:
        async with sample_app(database_url) as app, app.worker():
            return await work(app)

    return asyncio.run(whole())


def parked(database_url: str, workflow: str, given: dict[str, Any] | None = None, **options: Any) -> str:
    """The id of an execution that waits for an event or a child."""

    async def work(app: App) -> UUID:
        handle = await app.start_json(workflow, None if given is None else json.dumps(given).encode(), **options)
        async for news in follow(await app.open(), handle.id):
            if isinstance(news, Waits) and await handle.status() is Status.WAITING:
                break
        return handle.id

    return str(with_worker(database_url, work))


def ended(database_url: str, workflow: str, given: dict[str, Any] | None = None, **options: Any) -> str:
    """The id of an execution that has ended, whichever way."""

    async def work(app: App) -> UUID:
        handle = await app.start_json(workflow, json.dumps(given or {}).encode(), **options)
        await (await app.open()).ended(handle.id, timeout=None)
        return handle.id

    return str(with_worker(database_url, work))
