"""A person connects an account: once, in time, in the browser that began, and for that account only."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import AuthorisationFailed, InvalidOption, UnknownConnection
from stepwell.sealing import Keyring, new_key
from tests.vault.office import BACK, Office, agreed, token
from tests.vault.vendor import CANARY, Vendor

MINUTE = timedelta(minutes=1)


async def begun(office: Office, *, is_bound: bool = False) -> tuple[dict[str, str], str | None]:
    """What the browser comes back with, and what only it has."""
    await office.add()
    consent = await office.consents.begin("acme", redirect_uri=None, is_bound=is_bound)
    return await agreed(consent.url), consent.binding


async def test_connection_is_ok_once_a_person_has_agreed(office: Office, vendor: Vendor) -> None:
    added = await office.add()
    connected = await office.connect()

    assert (added.status, added.error) == (ConnectionStatus.NEEDS_REAUTH, "it was never connected")
    assert (connected.status, connected.error, connected.expires_at is not None) == (ConnectionStatus.OK, None, True)
    assert token(await office.lending.use("acme")) == vendor.good
    assert vendor.asked[0]["redirect_uri"] == BACK


async def test_consent_is_completed_once(office: Office) -> None:
    query, _ = await begun(office)

    done = await asyncio.gather(
        *(office.consents.complete(query, binding=None) for _ in range(10)), return_exceptions=True
    )

    refused = [one for one in done if isinstance(one, BaseException)]
    assert len(refused) == 9
    assert {str(one) for one in refused} == {
        "the account could not be connected: nobody began this, it was completed before, or it took too long"
    }


async def test_consent_that_took_too_long_is_refused(office: Office, vendor: Vendor) -> None:
    query, _ = await begun(office)
    office.pass_time(11 * MINUTE)

    with pytest.raises(AuthorisationFailed, match="it took too long"):
        await office.consents.complete(query, binding=None)

    assert vendor.asked == []


@pytest.mark.parametrize("state", ["", "x", "\udcff", "é" * 10_000])
async def test_made_up_state_is_refused(office: Office, state: str) -> None:
    await begun(office)

    with pytest.raises(AuthorisationFailed):
        await office.consents.complete({"code": "c", "state": state}, binding=None)


async def test_another_browser_cannot_complete_a_bound_consent(office: Office, vendor: Vendor) -> None:
    query, binding = await begun(office, is_bound=True)

    with pytest.raises(AuthorisationFailed, match="another browser began this"):
        await office.consents.complete(query, binding="other")
    with pytest.raises(AuthorisationFailed):
        await office.consents.complete(query, binding=binding)  # it was taken by the attempt

    assert vendor.asked == []


async def test_browser_that_began_completes_a_bound_consent(office: Office) -> None:
    query, binding = await begun(office, is_bound=True)

    assert (await office.consents.complete(query, binding=binding)).status is ConnectionStatus.OK


async def test_person_who_does_not_agree_is_told(office: Office) -> None:
    query, _ = await begun(office)
    refused = {"state": query["state"], "error": "access_denied", "error_description": "The user said no"}

    with pytest.raises(AuthorisationFailed, match="access_denied The user said no") as caught:
        await office.consents.complete(refused, binding=None)

    assert caught.value.connection == "acme"
    assert (await office.row()).status is ConnectionStatus.NEEDS_REAUTH


async def test_code_of_another_consent_is_refused_by_its_verifier(office: Office, vendor: Vendor) -> None:
    """RFC 7636: whoever has caught a code has no verifier for it."""
    query, _ = await begun(office)
    await office.add("other")
    theirs = await agreed((await office.consents.begin("other", redirect_uri=None, is_bound=False)).url)

    with pytest.raises(AuthorisationFailed, match="invalid_grant"):
        await office.consents.complete({**query, "code": theirs["code"]}, binding=None)


async def test_state_and_verifier_are_not_stored_in_clear(office: Office) -> None:
    await office.add()
    consent = await office.consents.begin("acme", redirect_uri=None, is_bound=True)

    stored = await office.store.redeem_authorisation(hashlib.sha256(consent.state.encode()).digest())
    assert consent.binding is not None
    for secret in (consent.state, consent.binding):
        assert secret not in repr(consent) + repr(stored)


async def test_vendor_in_trouble_leaves_the_connection_as_it_was(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    before = await office.row()
    consent = await office.consents.begin("acme", redirect_uri=None, is_bound=False)
    query = await agreed(consent.url)
    vendor.status = 500

    with pytest.raises(AuthorisationFailed, match="the vendor answered 500"):
        await office.consents.complete(query, binding=None)

    assert await office.row() == before


async def test_account_whose_old_credentials_cannot_be_opened_is_connected_again(
    office: Office, vendor: Vendor
) -> None:
    await office.add()
    await office.connect()
    other = Office(office.world, office.url, keyring=Keyring([new_key("k2")]))
    (application,) = await other.store.applications()
    renewed = other.seals.sealed_application(application, office.seals.application(application))
    await other.store.change_application(renewed)

    await other.connect()

    assert token(await other.lending.use("acme")) == vendor.good
    await other.close()


@pytest.mark.parametrize(
    "uri", ["http://example.com/back", "javascript:alert(1)", "https://", "https://example.com/#x", "/back"]
)
async def test_redirect_that_is_not_safe_is_refused(office: Office, uri: str) -> None:
    await office.add()

    with pytest.raises(InvalidOption, match="redirect_uri"):
        await office.consents.begin("acme", redirect_uri=uri, is_bound=False)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8350/oauth/callback", "http://localhost/x", "https://example.com/x"])
async def test_redirect_by_https_or_to_this_machine_is_taken(office: Office, uri: str) -> None:
    await office.add()

    await office.consents.begin("acme", redirect_uri=uri, is_bound=False)


async def test_connection_without_such_an_application_has_nothing_to_agree_to(office: Office) -> None:
    await office.keeping.add("plain", "example", application=None, settings={}, secrets={"token": "t"}, hook_secrets=[])

    with pytest.raises(InvalidOption, match="has no application of kind oauth2-code"):
        await office.consents.begin("plain", redirect_uri=BACK, is_bound=False)
    with pytest.raises(UnknownConnection):
        await office.consents.begin("nobody", redirect_uri=BACK, is_bound=False)


async def test_shopifys_answer_must_be_signed_and_of_this_shop(bare_office: Office) -> None:
    office = bare_office
    await office.keeping.add_application(
        "app",
        "shopify",
        kind=ApplicationKind.AUTHORIZATION_CODE,
        settings={"client_id": "me", "redirect_uri": BACK, "authorize_url": f"{office.url}/authorize"},
        secrets={"client_secret": f"secret-{CANARY}"},
    )
    await office.keeping.add(
        "acme", "shopify", application="app", settings={"shop": "acme"}, secrets={}, hook_secrets=[]
    )
    query = await agreed((await office.consents.begin("acme", redirect_uri=None, is_bound=False)).url)

    with pytest.raises(AuthorisationFailed, match="is not signed by the vendor, or is of another account"):
        await office.consents.complete({**query, "hmac": "00"}, binding=None)


async def test_rows_of_two_connections_cannot_be_swapped(office: Office) -> None:
    """The security table: whoever can write rows cannot use another account's credentials."""
    await office.add()
    await office.connect()
    await office.add("other")
    stolen = await office.row()
    row = await office.row("other")

    await office.store.change_connection(
        replace(row, credentials=stolen.credentials, status=ConnectionStatus.OK), has_hooks_changed=False
    )

    with pytest.raises(Exception, match=r"credentials of connection 'other', sealed with key 'k1', cannot be opened"):
        await office.lending.use("other")
