"""Deliveries of webhooks over HTTP: taken beside the API, looked at and replayed by it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator

import httpx2
import pytest

from stepwell import App, WebhookEvent, webhook
from stepwell.server import asgi
from stepwell.store.memory import MemoryStore
from tests.server.clients import API

SECRET = "it-is-a-secret"
BODY = b'{"action": "opened", "number": 12345678901234567890}'


@pytest.fixture
async def hooked() -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    """An App that takes GitHub's issues, with a token for its API, and a client that has it."""
    async with App(MemoryStore()) as app:

        @app.workflow(trigger=webhook("github", "issues*"))
        async def triage(event: WebhookEvent) -> str:
            return event.type

        await app.connections.add("octo", "github", hook_secrets=[SECRET])
        secret = (await app.create_token("ops", "operate")).secret.reveal()
        transport = httpx2.ASGITransport(app=asgi(app))
        headers = {"Authorization": f"Bearer {secret}"}
        async with app.worker(), httpx2.AsyncClient(transport=transport, base_url=API, headers=headers) as client:
            yield app, client


async def deliver(
    client: httpx2.AsyncClient, *, secret: str = SECRET, body: bytes = BODY, number: int = 1
) -> httpx2.Response:
    headers = {
        "Authorization": "",
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": f"0192f0c1-0000-7000-8000-{number:012}",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return await client.post("http://localhost/hooks/github", content=body, headers=headers)


async def test_delivery_needs_no_token_and_is_shown_by_the_api(hooked: tuple[App, httpx2.AsyncClient]) -> None:
    _, client = hooked

    taken = await deliver(client)
    (listed,) = (await client.get("/deliveries?source=github&is_reconciled=false")).json()["deliveries"]
    shown = (await client.get(f"/deliveries/{listed['id']}")).json()
    (execution,) = listed["executions"]
    result = await client.get(f"/executions/{execution}/result?wait=30s")

    assert taken.status_code == 202
    assert (listed["connection"], listed["duplicates"]) == ("octo", 0)
    assert (shown["body"], shown["encoding"]) == (BODY.decode(), "utf-8")
    assert result.json()["result"] == listed["type"]


async def test_deliveries_come_in_pages_and_a_full_last_one_has_no_next(hooked: tuple[App, httpx2.AsyncClient]) -> None:
    _, client = hooked
    for number in (1, 2):
        await deliver(client, number=number)

    first = (await client.get("/deliveries?limit=1")).json()
    last = (await client.get(f"/deliveries?limit=1&cursor={first['next']}")).json()

    (newest,), (oldest,) = first["deliveries"], last["deliveries"]
    assert newest["id"] > oldest["id"]
    assert last["next"] is None


async def test_delivery_is_replayed(hooked: tuple[App, httpx2.AsyncClient]) -> None:
    _, client = hooked
    await deliver(client)
    (listed,) = (await client.get("/deliveries")).json()["deliveries"]

    replayed = await client.post(f"/deliveries/{listed['id']}/replay")

    assert replayed.status_code == 201
    assert replayed.json()["executions"] != listed["executions"]
    assert (await client.get("/hooks")).json()["hooks"][0]["source"] == "github"


async def test_delivery_with_a_wrong_signature_is_none(hooked: tuple[App, httpx2.AsyncClient]) -> None:
    _, client = hooked

    assert (await deliver(client, secret="another")).status_code == 401
    assert (await client.get("/deliveries")).json() == {"deliveries": [], "next": None}


async def test_unknown_delivery_is_not_found(hooked: tuple[App, httpx2.AsyncClient]) -> None:
    _, client = hooked

    answer = await client.get("/deliveries/0192f0c1-0000-7000-8000-000000000001")

    assert (answer.status_code, answer.json()["type"]) == (404, "urn:stepwell:problem:unknown-delivery")
