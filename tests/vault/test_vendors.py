"""Accounts at the fake vendors, through the vault and the connectors: connected, renewed, refused, connected again."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

import pytest

from stepwell import App
from stepwell.core.accounts import Consent
from stepwell.core.vault import ConnectionStatus
from stepwell.store.memory import MemoryStore
from stepwell.testing import served
from stepwell.testing.vendors import FakeClickUp, FakeShopify

BACK = "https://example.com/oauth/callback"


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_EGRESS_ALLOW", "127.0.0.1")
    monkeypatch.delenv("STEPWELL_KEYS", raising=False)


def signed(consent: Consent, code: str, secret: str) -> dict[str, str]:
    """What Shopify sends the browser back with."""
    query = {"code": code, "shop": "acme.myshopify.com", "state": consent.state, "timestamp": "1893456000"}
    text = "&".join(f"{name}={query[name]}" for name in sorted(query))
    return {**query, "hmac": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


async def shop(app: App, url: str, fake: FakeShopify, kind: str = "oauth2-code") -> None:
    settings = {"client_id": fake.client_id, "token_url": f"{url}/admin/oauth/access_token", "redirect_uri": BACK}
    secrets = {"client_secret": fake.client_secret}
    await app.applications.add("our-app", "shopify", kind=kind, settings=settings, secrets=secrets)
    await app.connections.add("acme", "shopify", application="our-app", settings={"shop": "acme", "base_url": url})


async def error_of(app: App) -> str | None:
    return (await app.connections.test("acme")).check_error


async def test_shop_is_connected_renewed_in_time_and_renewed_when_its_token_is_refused() -> None:
    fake, store = FakeShopify(), MemoryStore()
    async with served(fake) as url, App(store) as app:
        await shop(app, url, fake)
        consent = await app.connections.authorise("acme")
        await app.connections.complete(signed(consent, fake.allow(), fake.client_secret))
        at_first = await error_of(app)
        store.clock.advance(timedelta(minutes=55))
        in_time = await error_of(app)
        store.clock.advance(timedelta(minutes=2))
        fake.tokens.clear()
        after_refusal = await error_of(app)

        assert (at_first, in_time, after_refusal) == (None, None, None)
        assert fake.ledger.count("token refreshed") == 2


async def test_shop_whose_grant_is_gone_needs_somebody_and_is_connected_again() -> None:
    fake, store = FakeShopify(), MemoryStore()
    async with served(fake) as url, App(store) as app:
        await shop(app, url, fake)
        consent = await app.connections.authorise("acme")
        await app.connections.complete(signed(consent, fake.allow(), fake.client_secret))
        store.clock.advance(timedelta(hours=2))
        fake._refreshes.clear()
        fake.tokens.clear()
        gone = await error_of(app)
        needing = await app.connections.get("acme")
        consent = await app.connections.authorise("acme")
        await app.connections.complete(signed(consent, fake.allow(), fake.client_secret))

        assert gone == "connection 'acme' needs re-authorisation"
        assert (needing.status, "invalid_grant" in (needing.error or "")) == (ConnectionStatus.NEEDS_REAUTH, True)
        assert await error_of(app) is None


async def test_shop_of_ones_own_needs_no_consent() -> None:
    fake = FakeShopify()
    async with served(fake) as url, App(MemoryStore()) as app:
        await shop(app, url, fake, kind="oauth2-client")

        assert await error_of(app) is None


async def test_clickup_is_connected_by_a_query_and_its_token_does_not_end() -> None:
    fake, store = FakeClickUp(), MemoryStore()
    async with served(fake) as url, App(store) as app:
        settings = {"client_id": "client-1", "token_url": f"{url}/api/v2/oauth/token", "redirect_uri": BACK}
        await app.applications.add("our-app", "clickup", settings=settings, secrets={"client_secret": "secret-1"})
        base_url = {"base_url": f"{url}/api/v2"}
        await app.connections.add("acme", "clickup", application="our-app", settings=base_url)
        consent = await app.connections.authorise("acme")
        connected = await app.connections.complete({"code": fake.allow(), "state": consent.state})
        store.clock.advance(timedelta(days=400))

        assert connected.expires_at is None
        assert await error_of(app) is None
