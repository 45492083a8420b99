"""Accounts at vendors over HTTP: secrets go in and never come out."""

from __future__ import annotations

import httpx2
import pytest

from stepwell import App
from stepwell.sealing import new_key

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without a key takes no secrets."""
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())


async def added(client: httpx2.AsyncClient, name: str = "acme") -> httpx2.Response:
    body = {
        "name": name,
        "connector": "http",
        "settings": {"base_url": "https://api.example.com"},
        "secrets": {"token": f"{CANARY}-token"},
        "hook_secrets": [f"{CANARY}-hook"],
    }
    return await client.post("/connections", json=body)


async def test_connection_is_added_changed_rotated_switched_and_removed(any_client: httpx2.AsyncClient) -> None:
    answers = [
        await added(any_client),
        await any_client.get("/connections/acme"),
        await any_client.post("/connections/acme/change", json={"settings": {"region": "eu"}}),
        await any_client.post("/connections/acme/rotate", json={"secrets": {"token": f"{CANARY}-2"}}),
        await any_client.post("/connections/acme/rotate-hook-secret", json={"secret": f"{CANARY}-3", "keep": 1}),
        await any_client.post("/connections/acme/disable"),
        await any_client.post("/connections/acme/enable"),
        await any_client.get("/connections"),
        await any_client.get("/keys"),
        await any_client.delete("/connections/acme"),
    ]
    gone = await any_client.get("/connections/acme")

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200, 200, 200, 200, 204]
    assert answers[2].json()["settings"] == {"base_url": "https://api.example.com", "region": "eu"}
    assert (answers[5].json()["status"], answers[6].json()["status"]) == ("disabled", "ok")
    assert all(CANARY not in answer.text for answer in answers)
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:stepwell:problem:unknown-connection")


async def test_refusal_says_nothing_of_the_secrets_that_were_sent(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = [
        {"name": "x", "connector": "http", "secrets": {"token": [CANARY]}},
        {"name": "x", "connector": "http", "secrets": CANARY},
        {"name": "x", "connector": "http", "secrets": {"a": "b\0" + CANARY}},
        {"name": "x", "secrets": {"token": CANARY}},
        {"name": "x", "connector": "http", "secrets": {"token": CANARY}, "application": "nobody"},
    ]

    for body in bodies:
        answer = await client.post("/connections", json=body)
        assert answer.status_code in (404, 422)
        assert CANARY not in answer.text
    assert CANARY not in caplog.text


async def test_applications_are_kept_without_showing_their_secrets(any_client: httpx2.AsyncClient) -> None:
    body = {
        "name": "crm",
        "connector": "http",
        "settings": {
            "client_id": "id",
            "authorize_url": "https://crm.example.com/authorize",
            "token_url": "https://crm.example.com/token",
        },
        "secrets": {"client_secret": CANARY},
    }

    made = await any_client.post("/applications", json=body)
    changed = await any_client.post("/applications/crm/change", json={"secrets": {"client_secret": f"{CANARY}-2"}})
    listed = await any_client.get("/applications")
    removed = await any_client.delete("/applications/crm")

    assert [made.status_code, changed.status_code, listed.status_code, removed.status_code] == [201, 200, 200, 204]
    assert made.json()["kind"] == "oauth2-code"
    assert all(CANARY not in answer.text for answer in (made, changed, listed))


async def test_keys_are_rotated(client: httpx2.AsyncClient) -> None:
    await added(client)

    answer = await client.post("/keys/rotate")

    assert (answer.status_code, answer.json()["unsealable"]) == (200, [])


@pytest.mark.parametrize(
    "query", ["", "?state=guessed&code=x", "?error=access_denied", "?state=<script>alert(1)</script>"]
)
async def test_consent_that_nobody_began_connects_nothing(app: App, client: httpx2.AsyncClient, query: str) -> None:
    answer = await client.get(f"http://localhost/oauth/callback{query}")

    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert await app.connections.list() == []
