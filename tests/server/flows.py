"""Workflows that the server's tests start."""

from __future__ import annotations

import asyncio
from typing import Any

from stepwell import App, Retry, Step, every, on_event


def workflows(app: App) -> None:
    """One for each thing that the API shows."""

    @app.workflow
    async def greet(name: str, step: Step, times: int = 1) -> str:
        """Says hello."""
        return await step.run("compose", lambda: f"Hello, {name}!" * times)

    @app.workflow(id="keep")
    async def keep(value: Any) -> Any:
        return value

    @app.workflow(retry=Retry(1))
    async def fail(step: Step) -> None:
        await step.run("divide", lambda: 1 // 0)

    @app.workflow
    async def wait(step: Step) -> Any:
        return await step.wait_for_event("go")

    @app.workflow
    async def count(numbers: list[int], step: Step) -> int:
        return sum(await step.map("each", abs, numbers))

    @app.workflow(trigger=[every("36500d"), on_event("rarely.*")])
    async def rarely() -> None:
        return None

    @app.workflow(retry=Retry(1))
    async def charge(step: Step) -> Any:
        return await step.effect("pay", hang)


async def hang() -> Any:
    """Nobody knows what became of it when its worker ends."""
    await asyncio.Event().wait()
