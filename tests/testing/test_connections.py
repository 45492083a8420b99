"""In a lab, steps use connections that the test has added: no keys, no database."""

from __future__ import annotations

import pytest

from stepwell import App, Step
from stepwell.running import current_connected
from stepwell.testing import running


async def token_of(name: str) -> str:
    return (await current_connected().connections.use(name)).secrets["token"].reveal()


async def test_steps_use_connections_that_the_test_has_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_KEYS", raising=False)
    app = App()

    @app.workflow
    async def copy(step: Step) -> str:
        return await step.run("fetch", token_of, "acme")

    async with running(app):
        await app.connections.add("acme", "example", secrets={"token": "t"})

        assert await (await app.start(copy)).result() == "t"


async def test_account_that_needs_somebody_is_waited_for_without_real_time() -> None:
    app = App()

    @app.workflow
    async def copy(step: Step) -> str:
        return await step.run("fetch", token_of, "acme")

    async with running(app) as world:
        await app.connections.add("acme", "example", secrets={"token": "old"})
        await app.connections.disable("acme")
        handle = await app.start(copy)
        await world.crash()
        await app.connections.rotate("acme", {"token": "new"})

        assert await handle.result() == "new"
