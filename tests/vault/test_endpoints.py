"""By which secrets webhooks of connections are verified, and that every change of it is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.sealing import Keyring, new_key
from stepwell.vault.endpoints import VaultEndpoints
from stepwell.vault.seals import Seals
from tests.vault.office import Office

OPTIONS: dict[str, Any] = {"application": None, "settings": {}, "secrets": {"token": "t"}, "hook_secrets": ["s1"]}


async def found(office: Office, keyring: Keyring | None = None) -> dict[str, tuple[bytes, ...]]:
    endpoints = VaultEndpoints(office.store, Seals(keyring) if keyring else office.seals)
    return {one.connection: one.secrets for one in await endpoints.endpoints()}


async def revision(office: Office) -> int:
    return (await office.world.store.inbox.hooks())[0]


async def shop(office: Office) -> None:
    await office.keeping.add_application(
        "shopify-app",
        "shopify",
        kind=ApplicationKind.AUTHORIZATION_CODE,
        settings={"client_id": "7"},
        secrets={"client_secret": "old"},
    )
    options = {"application": "shopify-app", "settings": {"shop": "acme"}, "secrets": {}, "hook_secrets": []}
    await office.keeping.add("acme-shop", "shopify", **options)  # type: ignore[arg-type]


async def test_connection_with_a_hook_secret_takes_deliveries(office: Office) -> None:
    await office.keeping.add("acme", "clickup", **{**OPTIONS, "settings": {"tenant": "9012"}})
    await office.keeping.add("bare", "clickup", **{**OPTIONS, "hook_secrets": []})

    (endpoint,) = await VaultEndpoints(office.store, office.seals).endpoints()

    assert (endpoint.connection, endpoint.source, endpoint.secrets, endpoint.tenant) == (
        "acme",
        "clickup",
        (b"s1",),
        "9012",
    )
    assert "s1" not in repr(endpoint)


async def test_shopify_is_verified_by_its_applications_secrets_new_and_old(office: Office) -> None:
    await shop(office)
    await office.keeping.change_application("shopify-app", settings={}, secrets={"client_secret": "new"})

    (endpoint,) = await VaultEndpoints(office.store, office.seals).endpoints()

    assert (endpoint.secrets, endpoint.tenant) == ((b"new", b"old"), "acme.myshopify.com")


async def test_applications_of_others_verify_nothing(office: Office) -> None:
    await office.keeping.add("acme", "example", application="app", settings={}, secrets={}, hook_secrets=[])

    assert await found(office) == {}


async def test_disabled_connection_takes_no_deliveries(office: Office) -> None:
    await office.keeping.add("acme", "clickup", **OPTIONS)

    await office.keeping.set_status("acme", ConnectionStatus.DISABLED)

    assert await found(office) == {}


async def test_connection_that_needs_reauthorisation_still_takes_deliveries(office: Office) -> None:
    """Its account is refused by the vendor's API; what the vendor sends is as genuine as before."""
    await office.keeping.add("acme", "clickup", **OPTIONS)

    await office.keeping.set_status("acme", ConnectionStatus.NEEDS_REAUTH)

    assert await found(office) == {"acme": (b"s1",)}


async def test_connection_whose_key_is_lost_does_not_stop_the_others(office: Office) -> None:
    await office.keeping.add("acme", "clickup", **OPTIONS)
    keys = Keyring([new_key("k2")])
    await Office(office.world, office.url, keyring=keys).keeping.add("other", "clickup", **OPTIONS)

    assert await found(office, keys) == {"other": (b"s1",)}


@pytest.mark.parametrize(
    "change",
    [
        lambda keeping: keeping.add("new", "clickup", **OPTIONS),
        lambda keeping: keeping.rotate_hook_secret("acme", "s2", keep=1),
        lambda keeping: keeping.change("acme", {"tenant": "7"}),
        lambda keeping: keeping.set_status("acme", ConnectionStatus.DISABLED),
        lambda keeping: keeping.remove("acme"),
        lambda keeping: keeping.change_application("shopify-app", settings={}, secrets={"client_secret": "new"}),
    ],
)
async def test_revision_grows_with_every_change_of_what_verifies(office: Office, change: Any) -> None:
    await shop(office)
    await office.keeping.add("acme", "clickup", **OPTIONS)
    before = await revision(office)

    await change(office.keeping)

    assert await revision(office) > before


async def test_revision_stays_when_tokens_are_renewed(office: Office) -> None:
    """Every server of the intake would read everything again."""
    await office.add()
    before = await revision(office)

    await office.connect()

    assert await revision(office) == before
