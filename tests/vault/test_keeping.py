"""Applications and connections are added, changed and removed; what makes no sense is refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import InvalidOption, UnknownApplication, UnknownConnection
from tests.vault.office import Office
from tests.vault.vendor import CANARY

OPTIONS: dict[str, Any] = {"application": None, "settings": {}, "secrets": {"token": "t"}, "hook_secrets": []}


async def hook_secrets(office: Office, name: str = "acme") -> list[str]:
    return [one.reveal() for one in office.seals.hook_secrets(await office.row(name))]


@pytest.mark.parametrize(
    "options",
    [
        {"settings": {"a": ""}},
        {"settings": {"a": "\0"}},
        {"settings": {"a": "\ud800"}},
        {"settings": {"a b": "c"}},
        {"settings": {f"s{number}": "x" for number in range(101)}},
        {"secrets": {"token": ""}},
        {"secrets": {"token": f"{CANARY}\0"}},
        {"secrets": {"token": CANARY * 10_000}},
        {"secrets": {"token": f"{CANARY}\udcff"}},
        {"secrets": {f"{CANARY} not a name": "x"}},
        {"hook_secrets": [""]},
        {"hook_secrets": ["  "]},
    ],
    ids=str,
)
async def test_what_cannot_be_kept_is_refused_and_not_shown(office: Office, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption) as caught:
        await office.keeping.add("acme", "example", **{**OPTIONS, **options})

    shown = str(caught.value).replace(f"{CANARY} not a name", "")
    assert CANARY not in shown
    assert await office.keeping.list() == []


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "é", "x" * 101, ".", "\0"])
async def test_name_that_cannot_stand_in_an_address_is_refused(office: Office, name: str) -> None:
    with pytest.raises(InvalidOption):
        await office.keeping.add(name, "example", **OPTIONS)


async def test_taken_name_is_told(office: Office) -> None:
    await office.keeping.add("acme", "example", **OPTIONS)

    with pytest.raises(InvalidOption, match="connection 'acme' is there already"):
        await office.keeping.add("acme", "example", **OPTIONS)
    with pytest.raises(InvalidOption, match="application 'app' is there already"):
        await office.furnish()


async def test_f104_of_many_who_add_one_name_at_once_one_does(office: Office) -> None:
    """F104: no look before the insert; whoever is second is told, and changes nothing."""
    offices = [office.another() for _ in range(4)]
    options = [{**OPTIONS, "secrets": {"token": f"t{number}"}} for number in range(40)]

    done = await asyncio.gather(
        *(offices[number % 4].keeping.add("acme", "example", **options[number]) for number in range(40)),
        return_exceptions=True,
    )

    (winner,) = [number for number, one in enumerate(done) if not isinstance(one, BaseException)]
    assert all(isinstance(one, InvalidOption) for one in done if isinstance(one, BaseException))
    assert (await office.lending.use("acme")).secrets["token"].reveal() == f"t{winner}"


async def test_application_of_another_connector_is_refused(office: Office) -> None:
    with pytest.raises(InvalidOption, match="application 'app' is one of example, not of clickup"):
        await office.keeping.add("acme", "clickup", **{**OPTIONS, "application": "app"})
    with pytest.raises(UnknownApplication):
        await office.keeping.add("acme", "clickup", **{**OPTIONS, "application": "nobody"})


@pytest.mark.parametrize(("settings", "secrets"), [({}, {"client_secret": "s"}), ({"client_id": "7"}, {})])
async def test_application_needs_its_id_and_a_secret(
    office: Office, settings: dict[str, str], secrets: dict[str, str]
) -> None:
    with pytest.raises(InvalidOption, match="application 'other' has no"):
        await office.keeping.add_application(
            "other", "example", kind=ApplicationKind.CLIENT_CREDENTIALS, settings=settings, secrets=secrets
        )


async def test_application_with_connections_stays(office: Office) -> None:
    await office.add()

    with pytest.raises(InvalidOption, match="connections belong to application 'app'"):
        await office.keeping.remove_application("app")
    await office.keeping.remove("acme")
    await office.keeping.remove_application("app")

    assert await office.keeping.applications() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda office: office.keeping.get("nobody"),
        lambda office: office.keeping.change("nobody", {}),
        lambda office: office.keeping.rotate("nobody", {"token": "t"}),
        lambda office: office.keeping.rotate_hook_secret("nobody", "s", keep=1),
        lambda office: office.keeping.set_status("nobody", ConnectionStatus.DISABLED),
        lambda office: office.keeping.note_check("nobody", None),
        lambda office: office.keeping.remove("nobody"),
    ],
)
async def test_unknown_connection_is_told(office: Office, call: Callable[[Office], Awaitable[object]]) -> None:
    with pytest.raises(UnknownConnection, match="nobody"):
        await call(office)


async def test_hook_secrets_rotate_with_the_newest_first(office: Office) -> None:
    await office.add()

    await office.keeping.rotate_hook_secret("acme", "second", keep=1)
    await office.keeping.rotate_hook_secret("acme", "third", keep=1)
    two = await hook_secrets(office)
    await office.keeping.rotate_hook_secret("acme", None, keep=1)
    one = await hook_secrets(office)
    info = await office.keeping.rotate_hook_secret("acme", None, keep=0)

    assert (two, one) == (["third", "second"], ["third"])
    assert (await hook_secrets(office), info.has_hook_secrets) == ([], False)


async def test_other_secrets_stay_when_one_is_rotated(office: Office) -> None:
    await office.keeping.add("acme", "example", **{**OPTIONS, "secrets": {"user": "u", "password": "old"}})

    await office.keeping.rotate("acme", {"password": "new"})

    lent = await office.lending.use("acme")
    assert {name: one.reveal() for name, one in lent.secrets.items()} == {"user": "u", "password": "new"}


async def test_no_information_shows_a_secret(office: Office) -> None:
    await office.add()
    await office.connect()

    shown = repr([*await office.keeping.list(), *await office.keeping.applications(), await office.lending.use("acme")])

    assert CANARY not in shown


@pytest.mark.parametrize(
    ("connector", "settings", "secret", "told"),
    [
        ("generic", {"hook_timestmp_header": "X-Time"}, CANARY, "hook_timestmp_header"),
        ("generic", {"hook_algorithm": "md5"}, CANARY, "hook_algorithm is 'md5'"),
        ("generic", {"hook_timestamp_header": "X-Time", "hook_signed": "{body}"}, CANARY, "timestamp"),
        ("azure-devops", {}, CANARY, "user:password"),
        ("github", {}, f" {CANARY}", "white space"),
        ("github", {}, f"{CANARY}\udcff", "lone surrogate"),
        ("standard-webhooks", {}, f"whsec_{CANARY}", "key"),
    ],
)
async def test_endpoint_that_could_verify_nothing_is_refused_when_it_is_set_up(
    office: Office, connector: str, settings: dict[str, str], secret: str, told: str
) -> None:
    options = {**OPTIONS, "settings": settings, "hook_secrets": [secret]}
    with pytest.raises(InvalidOption, match=told) as caught:
        await office.keeping.add("acme", connector, **options)

    assert CANARY not in str(caught.value)
    assert await office.keeping.list() == []


async def test_endpoint_stays_as_it_is_when_a_change_could_verify_nothing(office: Office) -> None:
    options = {**OPTIONS, "settings": {"hook_algorithm": "sha512"}, "hook_secrets": ["good"]}
    await office.keeping.add("acme", "generic", **options)

    with pytest.raises(InvalidOption, match="hook_algorithm"):
        await office.keeping.change("acme", {"hook_algorithm": "md5"})
    with pytest.raises(InvalidOption, match="white space"):
        await office.keeping.rotate_hook_secret("acme", "bad\n", keep=1)

    assert (await office.keeping.get("acme")).settings == {"hook_algorithm": "sha512"}
    assert await hook_secrets(office) == ["good"]
