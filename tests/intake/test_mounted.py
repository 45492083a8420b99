"""From a stored connection to a workflow: deliveries beside the API, and in an application of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from stepwell import App, ExecutionFailed, Step, WebhookEvent, webhook
from stepwell.core.model import ExecutionId
from stepwell.running import default_connection
from stepwell.sealing import new_key
from stepwell.server import asgi
from stepwell.server.intake import hook_routes
from stepwell.sources import SOURCES, sign
from stepwell.store.memory import MemoryStore

SECRET = "It's a Secret to Everybody"
BODY = b'{"action":"opened","issue":{"id":7,"title":"Spelling"}}'


def signed(secret: str = SECRET, id: str = "1") -> dict[str, str]:
    return sign(SOURCES["github"], BODY, secret.encode(), type="issues.opened", id=id, now=datetime.now(UTC))


def client_of(application: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://hooks.example")


@pytest.fixture(params=["beside the API", "in one's own application"])
def application(request: pytest.FixtureRequest) -> Any:
    """What makes an ASGI application of an App."""
    return asgi if request.param == "beside the API" else lambda app: Starlette(routes=[*hook_routes(app)])


@pytest.fixture(params=["memory", "postgres"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("STEPWELL_KEYS", new_key("tests").text())
    return App(MemoryStore() if request.param == "memory" else request.getfixturevalue("database_url"))


async def test_delivery_of_a_stored_connection_runs_a_workflow_that_uses_it(app: App, application: Any) -> None:
    used: list[str | None] = []

    async def look() -> None:
        used.append(default_connection.get())

    @app.workflow(trigger=webhook("github", "issues.*"))
    async def triage(event: WebhookEvent, step: Step) -> str:
        await step.run("look", look)
        return f"{event.connection}: {event.raw['issue']['title']}"

    async with app, app.worker(), client_of(application(app)) as client:
        await app.connections.add("acme", "github", hook_secrets=["an old one", SECRET])
        answer = await client.post("/hooks/github/acme", content=BODY, headers=signed())
        (started,) = answer.json()["executions"]

        assert answer.status_code == 202
        assert await app.result(ExecutionId(started), timeout="30s") == "acme: Spelling"
    assert used == ["acme"]


async def test_secret_that_is_changed_counts_with_the_next_delivery(app: App, application: Any) -> None:
    async with app, client_of(application(app)) as client:
        await app.connections.add("acme", "github", hook_secrets=[SECRET])
        first = await client.post("/hooks/github", content=BODY, headers=signed())
        await app.connections.rotate_hook_secret("acme", "another", keep=0)

        old = await client.post("/hooks/github", content=BODY, headers=signed(id="2"))
        new = await client.post("/hooks/github", content=BODY, headers=signed("another", id="3"))

    assert [first.status_code, old.status_code, new.status_code] == [202, 401, 202]


async def test_app_without_any_connection_answers_404(
    app: App, application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWELL_KEYS")

    async with app, client_of(application(app)) as client:
        assert (await client.post("/hooks/github/acme", content=BODY, headers=signed())).status_code == 404


async def test_clean_up_of_what_a_delivery_started_uses_its_connection_too(app: App, application: Any) -> None:
    used: list[str | None] = []

    async def look() -> None:
        used.append(default_connection.get())

    @app.workflow(trigger=webhook("github", "issues.*"))
    async def triage(event: WebhookEvent, step: Step) -> None:
        step.compensate_with("undo", look)
        raise ValueError("out of stock")

    async with app, app.worker(), client_of(application(app)) as client:
        await app.connections.add("acme", "github", hook_secrets=[SECRET])
        answer = await client.post("/hooks/github/acme", content=BODY, headers=signed())
        (started,) = answer.json()["executions"]
        with pytest.raises(ExecutionFailed, match="out of stock"):
            await app.result(started, timeout="30s")

    assert used == ["acme"]
