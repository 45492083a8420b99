"""What connectors are lent: credentials that are good, renewed by one process at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import ConnectionUnusable, NeedsReauthorisation, NotYet, UnknownConnection
from tests.databases import refusal
from tests.store.world import SIGNAL_SECONDS, PostgresWorld
from tests.vault.office import Office, in_step_of, token
from tests.vault.vendor import CANARY, Vendor

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def test_connection_of_a_key_is_lent_as_it_was_added(office: Office) -> None:
    await office.keeping.add(
        "plain", "example", application=None, settings={"region": "eu"}, secrets={"token": "t"}, hook_secrets=[]
    )

    lent = await office.lending.use("plain")

    assert (lent.name, lent.connector, lent.settings, token(lent)) == ("plain", "example", {"region": "eu"}, "t")


async def test_unknown_connection_is_told_by_its_name(office: Office) -> None:
    with pytest.raises(UnknownConnection, match="there is no connection 'nobody'"):
        await office.lending.use("nobody")


async def test_connection_shares_the_secrets_of_its_application(office: Office) -> None:
    await office.keeping.add_application(
        "shared",
        "example",
        kind=ApplicationKind.SHARED,
        settings={"region": "eu"},
        secrets={"user": "u", "password": "p"},
    )
    await office.keeping.add(
        "one", "example", application="shared", settings={}, secrets={"password": "own"}, hook_secrets=[]
    )

    lent = await office.lending.use("one")

    assert {name: one.reveal() for name, one in lent.secrets.items()} == {"user": "u", "password": "own"}
    assert lent.settings == {"region": "eu"}


async def test_refresh_token_is_lent_to_nobody(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()

    lent = await office.lending.use("acme")

    assert set(lent.secrets) == {"token", "access_token"}
    assert token(lent) == vendor.good


async def test_what_was_lent_is_not_looked_at_again_for_a_while(office: Office) -> None:
    await office.keeping.add(
        "plain", "example", application=None, settings={}, secrets={"token": "old"}, hook_secrets=[]
    )
    first = await office.lending.use("plain")
    await office.keeping.rotate("plain", {"token": "new"})

    second = await office.lending.use("plain")
    office.forget()
    third = await office.lending.use("plain")

    assert (second is first, token(third)) == (True, "new")


async def test_what_has_not_changed_is_lent_as_the_same_object(office: Office) -> None:
    await office.add()
    await office.connect()
    first = await office.lending.use("acme")

    office.forget()

    assert await office.lending.use("acme") is first


@pytest.mark.parametrize(("random", "share"), [(0.0, 0.7), (0.5, 0.8), (1.0, 0.9)])
async def test_token_is_renewed_after_most_of_its_life(
    office: Office, vendor: Vendor, random: float, share: float
) -> None:
    await office.add()
    await office.connect()
    office.random = random
    first = token(await office.lending.use("acme"))

    office.pass_time(HOUR * (share - 0.02))
    assert token(await office.lending.use("acme")) == first
    office.pass_time(HOUR * 0.04)
    second = token(await office.lending.use("acme"))

    assert (second != first, second == vendor.good, vendor.grants) == (True, True, 2)


async def test_token_without_an_end_is_never_renewed(office: Office, vendor: Vendor) -> None:
    vendor.life = None
    await office.add()
    await office.connect()

    office.pass_time(timedelta(days=1_000))

    assert token(await office.lending.use("acme")) == vendor.good
    assert vendor.grants == 1


async def test_vendor_that_gives_no_new_refresh_token_is_asked_with_the_old_one_again(
    office: Office, vendor: Vendor
) -> None:
    vendor.is_rotating = False
    await office.add()
    await office.connect()

    for _ in range(3):
        office.pass_time(HOUR)
        await office.lending.use("acme")

    assert {asked.get("refresh_token") for asked in vendor.asked[1:]} == {vendor.refresh}


async def test_vendor_that_gives_tokens_without_a_life_is_not_asked_all_the_time(
    office: Office, vendor: Vendor
) -> None:
    vendor.life = 0.001
    await office.add()
    await office.connect()

    for _ in range(5):
        office.forget()
        await office.lending.use("acme")

    assert vendor.grants <= 2


async def test_client_credentials_get_their_first_token_when_they_are_used(bare_office: Office, vendor: Vendor) -> None:
    await bare_office.furnish(ApplicationKind.CLIENT_CREDENTIALS)
    await bare_office.add()

    first = token(await bare_office.lending.use("acme"))
    bare_office.pass_time(HOUR)
    second = token(await bare_office.lending.use("acme"))

    assert (first != second, second) == (True, vendor.good)
    assert [(asked["grant_type"], asked["scope"]) for asked in vendor.asked] == [
        ("client_credentials", "read write")
    ] * 2


async def test_app_gets_tokens_of_its_installation(bare_office: Office, vendor: Vendor) -> None:
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    url = f"{vendor.url}/installations/{{installation}}/access_tokens"
    office, vendor.ends_at = bare_office, (bare_office.world.store.now() + HOUR).isoformat()
    await office.keeping.add_application(
        "bot",
        "github",
        kind=ApplicationKind.INSTALLATION,
        settings={"client_id": "Iv1.7", "token_url": url},
        secrets={"private_key": key.private_bytes(*form).decode()},
    )
    await office.keeping.add(
        "acme", "github", application="bot", settings={"installation": "42"}, secrets={}, hook_secrets=[]
    )

    first = token(await office.lending.use("acme"))
    office.pass_time(HOUR)
    second = token(await office.lending.use("acme"))

    assert (first != second, second, vendor.asked[0]["installation"]) == (True, vendor.good, "42")
    assert vendor.asked[0]["authorization"].startswith("Bearer eyJ")


# --- one at a time --------------------------------------------------------------------------------------------------


async def test_many_steps_of_a_process_renew_once(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    office.pass_time(HOUR)

    lent = await asyncio.gather(*(office.lending.use("acme") for _ in range(50)))

    assert {token(one) for one in lent} == {vendor.good}
    assert vendor.grants == 2


async def test_many_processes_renew_once(office: Office, vendor: Vendor) -> None:
    """Each has its own memory; the row's lock is what they share."""
    await office.add()
    await office.connect()
    others = [office.another() for _ in range(8)]
    office.pass_time(HOUR)

    lent = await asyncio.gather(*(other.lending.use("acme") for other in others))

    assert {token(one) for one in lent} == {vendor.good}
    assert (vendor.grants, (await office.row()).status) == (2, ConnectionStatus.OK)
    for other in others:
        await other.close()


async def test_refused_token_that_was_renewed_meanwhile_is_replaced_by_that(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    old = await office.lending.use("acme")
    other = office.another()
    office.world.advance(HOUR)
    await other.lending.use("acme")

    lent = await office.lending.renew(old)

    assert (token(lent), vendor.grants) == (vendor.good, 2)
    await other.close()


async def test_token_that_the_vendor_refuses_early_is_renewed(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    old = await office.lending.use("acme")
    office.pass_time(2 * MINUTE)

    lent = await office.lending.renew(old)

    assert (token(lent) != token(old), token(lent)) == (True, vendor.good)


async def test_step_that_is_cut_does_not_take_the_answer_with_it(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    office.pass_time(HOUR)
    vendor.gate = asyncio.Event()
    using = asyncio.create_task(office.lending.use("acme"))
    async with asyncio.timeout(SIGNAL_SECONDS):
        await vendor.is_waiting.wait()

    using.cancel()
    vendor.gate.set()
    async with asyncio.timeout(SIGNAL_SECONDS):
        await office.lending.close()

    assert token(await office.lending.use("acme")) == vendor.good
    assert vendor.grants == 2


# --- vendors in trouble -----------------------------------------------------------------------------------------------


async def test_vendor_in_trouble_leaves_a_good_token_in_use(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    first = token(await office.lending.use("acme"))
    office.pass_time(HOUR * 0.85)
    vendor.status = 503

    lent = [token(await office.lending.use("acme")) for _ in range(5)]

    assert (set(lent), len(vendor.asked)) == ({first}, 2)


async def test_vendor_in_trouble_is_waited_for_when_the_token_has_ended(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    office.pass_time(2 * HOUR)
    vendor.status = 503

    with pytest.raises(
        NotYet, match="connection 'acme' cannot be renewed at the moment: the vendor answered 503"
    ) as caught:
        await office.lending.use("acme")
    vendor.status = None

    assert not isinstance(caught.value, NeedsReauthorisation)
    assert token(await office.lending.use("acme")) == vendor.good


async def test_vendor_that_does_not_answer_is_told_without_the_request(office: Office) -> None:
    await office.add()
    await office.connect()
    office.pass_time(2 * HOUR)
    await office.keeping.change_application("app", settings={"token_url": "http://127.0.0.1:1/token"}, secrets={})

    with pytest.raises(NotYet, match="the vendor does not answer") as caught:
        await office.lending.use("acme")

    assert CANARY not in repr(caught.value) + str(caught.value)


async def test_token_endpoint_in_a_private_network_is_not_asked(office: Office) -> None:
    await office.add()
    await office.connect()
    office.pass_time(2 * HOUR)
    await office.keeping.change_application("app", settings={"token_url": "http://10.0.0.1/token"}, secrets={})

    with pytest.raises(NotYet, match=r"10\.0\.0\.1 is private"):
        await office.lending.use("acme")


# --- grants that are dead ---------------------------------------------------------------------------------------------


async def dead(office: Office, vendor: Vendor) -> None:
    """A connection whose grant somebody has revoked at the vendor."""
    await office.add()
    await office.connect()
    vendor.refresh = vendor.good = None
    office.pass_time(HOUR)


async def test_dead_grant_needs_reauthorisation(office: Office, vendor: Vendor) -> None:
    await dead(office, vendor)

    with pytest.raises(NeedsReauthorisation, match="connection 'acme' needs re-authorisation"):
        await office.lending.use("acme")

    row = await office.row()
    assert (row.status, row.error) == (ConnectionStatus.NEEDS_REAUTH, "invalid_grant token was used")


async def test_dead_grant_is_asked_for_once(office: Office, vendor: Vendor) -> None:
    await dead(office, vendor)

    for _ in range(5):
        with pytest.raises(NeedsReauthorisation):
            await office.lending.use("acme")

    assert len(vendor.asked) == 2


async def test_connection_that_was_connected_again_is_lent(office: Office, vendor: Vendor) -> None:
    await dead(office, vendor)
    with pytest.raises(NeedsReauthorisation):
        await office.lending.use("acme")

    await office.connect()

    assert token(await office.lending.use("acme")) == vendor.good


async def test_refused_key_needs_reauthorisation_until_it_is_rotated(office: Office) -> None:
    await office.keeping.add(
        "plain", "example", application=None, settings={}, secrets={"token": "bad"}, hook_secrets=[]
    )
    lent = await office.lending.use("plain")

    with pytest.raises(NeedsReauthorisation):
        await office.lending.renew(lent)
    with pytest.raises(NeedsReauthorisation):
        await office.lending.use("plain")
    await office.keeping.rotate("plain", {"token": "good"})

    assert token(await office.lending.use("plain")) == "good"


async def test_key_that_was_rotated_before_the_refusal_came_is_lent(office: Office) -> None:
    await office.keeping.add(
        "plain", "example", application=None, settings={}, secrets={"token": "bad"}, hook_secrets=[]
    )
    lent = await office.lending.use("plain")
    await office.keeping.rotate("plain", {"token": "good"})

    assert token(await office.lending.renew(lent)) == "good"
    assert (await office.row("plain")).status is ConnectionStatus.OK


async def test_new_token_that_the_vendor_refuses_at_once_is_not_renewed_for_ever(
    office: Office, vendor: Vendor
) -> None:
    await office.add()
    await office.connect()

    with pytest.raises(NeedsReauthorisation):
        await office.lending.renew(await office.lending.use("acme"))

    assert (vendor.grants, (await office.row()).error) == (1, "the vendor refuses a token that it has just given")


async def test_wrong_client_secret_needs_reauthorisation_until_it_is_right(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    await office.keeping.change_application("app", settings={}, secrets={"client_secret": "wrong"})
    office.pass_time(HOUR)
    with pytest.raises(NeedsReauthorisation):
        await office.lending.use("acme")
    assert (await office.row()).error == "invalid_client"

    await office.keeping.change_application("app", settings={}, secrets={"client_secret": f"secret-{CANARY}"})

    assert token(await office.lending.use("acme")) == vendor.good


async def test_disabled_connection_is_lent_to_nobody_until_it_is_enabled(office: Office) -> None:
    await office.keeping.add("plain", "example", application=None, settings={}, secrets={"token": "t"}, hook_secrets=[])
    await office.keeping.set_status("plain", ConnectionStatus.DISABLED)

    with pytest.raises(ConnectionUnusable, match="connection 'plain' is disabled"):
        await office.lending.use("plain")
    await office.keeping.set_status("plain", ConnectionStatus.OK)

    assert token(await office.lending.use("plain")) == "t"


async def test_step_that_needs_reauthorisation_is_noted_and_freed(office: Office, vendor: Vendor) -> None:
    await dead(office, vendor)
    session = await office.world.worker()
    execution_id = await office.world.running(session)
    with in_step_of(execution_id), pytest.raises(NeedsReauthorisation):
        await office.lending.use("acme")
    await office.world.park(session, execution_id)

    await office.connect()

    found = await office.world.see(execution_id)
    assert (found.status, found.why) == ("pending", "connection 'acme' is ok again; ready, waits for a free worker")


# --- what the vendor has answered is not lost -------------------------------------------------------------------------


async def test_answer_that_was_lost_is_asked_for_again_where_the_vendor_allows_it(
    office: Office, vendor: Vendor
) -> None:
    vendor.is_lenient = True
    await office.add()
    await office.connect()
    office.pass_time(HOUR)
    stored = await office.row()
    await office.lending.use("acme")
    await lose_answer(office, stored.credentials)

    lent = await office.another().lending.use("acme")

    assert token(lent) == vendor.good


async def test_answer_that_was_lost_is_told_where_the_grant_is_dead(office: Office, vendor: Vendor) -> None:
    await office.add()
    await office.connect()
    office.pass_time(HOUR)
    stored = await office.row()
    await office.lending.use("acme")
    await lose_answer(office, stored.credentials)

    other = office.another()
    with pytest.raises(NeedsReauthorisation):
        await other.lending.use("acme")

    error = (await office.row()).error
    assert error is not None
    assert "the answer to a renewal that began at" in error
    assert "was lost" in error


async def test_answer_is_kept_when_the_database_is_lost_meanwhile(office: Office, vendor: Vendor) -> None:
    """The lock goes with the connection that held it; the tokens do not."""
    if not isinstance(office.world, PostgresWorld):
        pytest.skip("memory has no connection to lose")
    await office.add()
    await office.connect()
    office.pass_time(HOUR)
    vendor.gate = asyncio.Event()
    using = asyncio.create_task(office.lending.use("acme"))
    async with asyncio.timeout(SIGNAL_SECONDS):
        await vendor.is_waiting.wait()
    async with await psycopg.AsyncConnection.connect(office.world.url, autocommit=True) as admin:
        killed = await admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    vendor.gate.set()
    async with asyncio.timeout(SIGNAL_SECONDS):
        lent = await using

    row = await office.row()
    assert killed.rowcount >= 2  # the renewal's own, and that of the vault
    assert (token(lent), vendor.grants, row.status, row.renewing_at) == (vendor.good, 2, ConnectionStatus.OK, None)


# statement cancelled, disk full, deadlock
@pytest.mark.parametrize("code", ["57014", "53100", "40P01"])
async def test_answer_is_kept_when_the_database_does_not_take_it_at_first(
    office: Office, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """F22: there is no other copy of the tokens."""
    if not isinstance(office.world, PostgresWorld):
        pytest.skip("memory takes everything")
    monkeypatch.setattr("stepwell.vault.renewing.INSIST_EVERY", 0.01)
    await office.add()
    await office.connect()
    office.pass_time(HOUR)
    async with await psycopg.AsyncConnection.connect(office.world.url, autocommit=True) as admin:
        is_renewed = "new.credentials is distinct from old.credentials"
        await admin.execute(refusal("update on stepwell.connection", code, when=is_renewed, times=3))

        lent = await office.lending.use("acme")

        row = await office.row()
        assert (token(lent), vendor.grants, row.status, row.renewing_at) == (vendor.good, 2, ConnectionStatus.OK, None)
        assert await (await admin.execute("select last_value > 3 from refusals")).fetchone() == (True,)


async def lose_answer(office: Office, credentials: bytes) -> None:
    """What is stored is as before the renewal, whose process has died."""
    row = await office.row()
    now = office.world.store.now()
    old = replace(row, credentials=credentials, refreshed_at=now - HOUR, expires_at=now - MINUTE)
    assert await office.store.change_connection(old, has_hooks_changed=False)
    async with office.store.renewal("acme"):
        pass
    office.pass_time(MINUTE)
