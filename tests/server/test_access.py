"""Tokens at work, and who is asked instead of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stepwell import App, InvalidOption, Scope, UnknownToken
from stepwell.server import Actor, asgi
from stepwell.store.memory import MemoryStore
from tests.server.clients import API, client_of


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_first_token_closes_the_door_for_all_others(any_app: App) -> None:
    async with client_of(any_app) as client:
        assert (await client.get("/executions")).status_code == 200

        made = await client.post("/tokens", json={"name": "root", "scope": "admin"})

        assert made.status_code == 201
        assert (await client.get("/executions")).status_code == 401
        assert (await client.get("/executions", headers=bearer(made.json()["token"]))).status_code == 200


async def test_revoking_the_last_token_opens_nothing(any_app: App) -> None:
    async with client_of(any_app) as client:
        secret = (await any_app.create_token("root", "admin")).secret.reveal()
        revoked = await client.post("/tokens/root/revoke", headers=bearer(secret))

        assert (revoked.status_code, revoked.json()["revoked_by"]) == (200, "root")
        assert (await client.get("/executions", headers=bearer(secret))).status_code == 401
        assert (await client.get("/executions")).status_code == 401


async def test_token_is_refused_from_its_end_on() -> None:
    store = MemoryStore()
    async with App(store) as app, client_of(app) as client:
        secret = (await app.create_token("brief", "read", expires="1h")).secret.reveal()
        assert (await client.get("/executions", headers=bearer(secret))).status_code == 200

        store.clock.advance(timedelta(hours=1))

        assert (await client.get("/executions", headers=bearer(secret))).status_code == 401


async def test_token_is_shown_once_and_never_again(any_app: App, caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(any_app) as client:
        made = (await client.post("/tokens", json={"name": "root", "scope": "admin"})).json()
        listed = await client.get("/tokens", headers=bearer(made["token"]))
        refused = await client.get("/tokens", headers=bearer(made["token"] + "x"))

    assert made["token"].startswith("sw_")
    for shown in (listed.text, refused.text, caplog.text, repr(await any_app.tokens())):
        assert made["token"] not in shown
    assert "sw_" not in repr(await any_app.create_token("other", "read"))


async def test_audit_names_the_token_that_did_it(any_app: App) -> None:
    """F105; the security table: identity lost on recovery. Who did it is stored with what was done."""
    started = await any_app.start("wait")
    secret = (await any_app.create_token("ops-ann", "operate")).secret.reveal()
    async with client_of(any_app) as client:
        await client.post(f"/executions/{started.id}/pause", json={"reason": "lunch"}, headers=bearer(secret))
        await client.post("/executions/resume-many", json={"filter": {"workflow": "wait"}}, headers=bearer(secret))
        audit = (await client.get(f"/executions/{started.id}/audit", headers=bearer(secret))).json()["audit"]

    assert [(one["by"], one["action"], one["detail"]) for one in audit] == [
        ("ops-ann", "resume", None),
        ("ops-ann", "pause", "lunch"),
    ]


async def test_body_cannot_say_who_does_it(app: App, client: httpx2.AsyncClient) -> None:
    started = await app.start("wait")

    answer = await client.post(f"/executions/{started.id}/pause", json={"by": "somebody else"})

    assert answer.status_code == 422
    assert await app.audit(started.id) == []


async def test_request_from_elsewhere_is_refused_while_there_are_no_tokens(app: App) -> None:
    transport = httpx2.ASGITransport(app=asgi(app), client=("10.1.2.3", 4711))
    async with httpx2.AsyncClient(transport=transport, base_url=API) as client:
        answer = await client.get("/executions")

    assert answer.status_code == 401
    assert "stepwell tokens create" in answer.json()["detail"]


async def test_application_that_mounts_it_may_say_who_asks(app: App) -> None:
    async def who(scope: Any) -> Actor | None:
        user = dict(scope["headers"]).get(b"x-user")
        return Actor(user.decode(), Scope.OPERATE) if user else None

    started = await app.start("wait")
    async with client_of(app, who=who) as client:
        assert (await client.get("/executions")).status_code == 401
        assert (await client.get("/tokens", headers={"X-User": "ann"})).status_code == 403
        assert (await client.post(f"/executions/{started.id}/pause", headers={"X-User": "ann"})).status_code == 200

    assert [record.actor for record in await app.audit()] == ["ann"]


async def test_calls_refuse_what_makes_no_sense(app: App) -> None:
    with pytest.raises(InvalidOption, match="is no scope"):
        await app.create_token("x", "root")
    await app.create_token("x", "read")
    with pytest.raises(InvalidOption, match="revoke it first"):
        await app.create_token("x", "admin")
    with pytest.raises(UnknownToken, match="there are: x"):
        await app.revoke_token("y")
