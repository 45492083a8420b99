"""Tokens of fake vendors for apps, as the vault asks for them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from stepwell.connectors import ClickUp, Shopify
from stepwell.errors import NeedsReauthorisation
from stepwell.testing import connection, lent_connections, served
from stepwell.testing.vendors import FakeClickUp, FakeShopify

CLIENT = {"client_id": "client-1"}


async def asked(url: str, **form: str) -> tuple[int, dict[str, Any]]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{url}/admin/oauth/access_token", data={**CLIENT, "client_secret": "shpss_1", **form}
        )
    return answer.status_code, answer.json()


async def whose(url: str, token: str) -> str:
    settings = {"base_url": url, "shop": "acme"}
    async with lent_connections(connection("acme", "shopify", settings=settings, token=token)):
        return await Shopify("acme").check()


async def test_shopify_gives_a_token_for_a_code_once() -> None:
    fake = FakeShopify()
    async with served(fake) as url:
        code = fake.allow()
        status, first = await asked(url, code=code, expiring="1")
        again, _ = await asked(url, code=code, expiring="1")
        _, plain = await asked(url, code=fake.allow())
        wrong, told = await asked(url, code=fake.allow(), client_secret="other")

        assert (status, again) == (200, 400)
        assert (first["expires_in"], first["refresh_token_expires_in"]) == (3_600, 7_776_000)
        assert set(plain) == {"access_token", "scope"}
        assert (wrong, told["error"]) == (400, "invalid_client")
        assert await whose(url, first["access_token"])


async def test_refresh_token_of_shopify_works_until_what_it_brought_is_used() -> None:
    fake = FakeShopify()
    async with served(fake) as url:
        _, first = await asked(url, code=fake.allow(), expiring="1")
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        _, lost = await asked(url, **refresh)
        _, second = await asked(url, **refresh)
        with pytest.raises(NeedsReauthorisation):
            await whose(url, lost["access_token"])
        assert await whose(url, second["access_token"])

        status, told = await asked(url, **refresh)

    assert (status, told["error"]) == (400, "invalid_grant")


async def test_clickup_gives_a_token_for_a_code_that_comes_in_the_query() -> None:
    fake = FakeClickUp()
    async with served(fake) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        query = {**CLIENT, "client_secret": "secret-1", "code": fake.allow()}
        answer = await client.post("/api/v2/oauth/token", params=query)
        again = await client.post("/api/v2/oauth/token", params=query)
        wrong = await client.post("/api/v2/oauth/token", params={**query, "client_secret": "other"})
        token = answer.json()["access_token"]
        settings = {"base_url": f"{url}/api/v2"}
        async with lent_connections(connection("acme", "clickup", settings=settings, token=token)):
            assert await ClickUp("acme").check() == "Ada Example"

    assert [one.status_code for one in (answer, again, wrong)] == [200, 400, 401]
