"""Keys change while everything goes on; old backups open as long as their keys are there.

The security table: credential encryption and key rotation.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from stepwell.core.connections import Secret
from stepwell.core.vault import ApplicationKind, ConnectionStatus
from stepwell.errors import Unsealable
from stepwell.sealing import Key, Keyring, key_id, new_key
from tests.store.world import PostgresWorld
from tests.vault.children import child
from tests.vault.office import Office, token
from tests.vault.vendor import CANARY, Vendor

HOUR = timedelta(hours=1)
KILLED = -9
OLD, NEW = new_key("old"), new_key("new")


def with_keys(office: Office, *keys: Key) -> Office:
    """The same store in a process with these keys."""
    return Office(office.world, office.url, keyring=Keyring(keys))


async def fill(office: Office, count: int = 5) -> None:
    for number in range(count):
        await office.keeping.add(
            f"plain-{number}",
            "example",
            application=None,
            settings={},
            secrets={"token": f"{number}-{CANARY}"},
            hook_secrets=[f"hook-{number}"] if number % 2 else [],
        )


async def ids(office: Office) -> set[str | None]:
    """The keys under which anything is sealed."""
    applications, connections = await office.store.applications(), await office.store.connections()
    values = [one.credentials for one in applications]
    values += [value for one in connections for value in (one.credentials, one.hook_secrets) if value is not None]
    return set(map(key_id, values))


async def test_rotation_leaves_nothing_under_the_old_key(bare_office: Office) -> None:
    old = with_keys(bare_office, OLD)
    await old.furnish()
    await fill(old)
    both = with_keys(bare_office, NEW, OLD)

    rotated = await both.rotation.rotate()

    assert (rotated.rows, rotated.unsealable, await ids(both)) == (6, (), {"new"})
    assert (await both.rotation.rotate()).rows == 0


async def test_values_are_the_same_after_rotation_and_the_old_key_opens_nothing(bare_office: Office) -> None:
    old = with_keys(bare_office, OLD)
    await fill(old)

    await with_keys(bare_office, NEW, OLD).rotation.rotate()

    new = with_keys(bare_office, NEW)
    assert [token(await new.lending.use(f"plain-{number}")) for number in range(5)] == [
        f"{number}-{CANARY}" for number in range(5)
    ]
    assert [one.reveal() for one in new.seals.hook_secrets(await new.row("plain-1"))] == ["hook-1"]
    with pytest.raises(Unsealable, match=r"sealed with key 'new'.*its key is not here; this process has old"):
        await with_keys(bare_office, OLD).lending.use("plain-0")


async def test_status_and_times_outlive_rotation(bare_office: Office) -> None:
    old = with_keys(bare_office, OLD)
    await fill(old, 1)
    await old.keeping.set_status("plain-0", ConnectionStatus.NEEDS_REAUTH)
    before = await old.keeping.get("plain-0")

    await with_keys(bare_office, NEW, OLD).rotation.rotate()

    assert await old.keeping.get("plain-0") == before


async def test_keys_are_counted(bare_office: Office) -> None:
    await fill(with_keys(bare_office, OLD), 2)
    await with_keys(bare_office, NEW).keeping.add(
        "newer", "example", application=None, settings={}, secrets={"token": "t"}, hook_secrets=[]
    )

    keys = await with_keys(bare_office, NEW, new_key("spare")).rotation.keys()

    assert [(one.id, one.is_here, one.is_newest, one.values) for one in keys] == [
        ("new", True, True, 1),
        ("spare", True, False, 0),
        ("old", False, False, 3),
    ]


async def test_row_that_cannot_be_opened_is_told_and_the_others_are_rotated(bare_office: Office) -> None:
    await fill(with_keys(bare_office, OLD), 2)
    await with_keys(bare_office, new_key("lost")).keeping.add(
        "broken", "example", application=None, settings={}, secrets={"token": CANARY}, hook_secrets=[]
    )

    rotated = await with_keys(bare_office, NEW, OLD).rotation.rotate()

    assert rotated.rows == 2
    assert [(one.row, one.key_id) for one in rotated.unsealable] == [("broken", "lost")]
    assert CANARY not in str(rotated)


async def test_old_backup_opens_with_its_key_and_is_refused_by_name_without(bare_office: Office) -> None:
    """A restore brings back rows under a key that is no longer in use."""
    await fill(with_keys(bare_office, OLD), 1)
    backup = (await bare_office.store.connections("plain-0"))[0]
    await with_keys(bare_office, NEW, OLD).rotation.rotate()
    await bare_office.store.remove_connection("plain-0")
    await bare_office.store.add_connection(backup)

    with pytest.raises(Unsealable, match="credentials of connection 'plain-0', sealed with key 'old'"):
        await with_keys(bare_office, NEW).lending.use("plain-0")
    assert token(await with_keys(bare_office, NEW, OLD).lending.use("plain-0")) == f"0-{CANARY}"


async def test_rotation_while_tokens_are_renewed_and_secrets_change_loses_nothing(
    bare_office: Office, vendor: Vendor
) -> None:
    old, both = with_keys(bare_office, OLD), with_keys(bare_office, NEW, OLD)
    await old.furnish()
    await old.add()
    await old.connect()
    await fill(old, 10)

    async def renew() -> None:
        for _ in range(5):
            bare_office.pass_time(HOUR)
            both.forget()
            await both.lending.use("acme")

    async def change() -> None:
        for number in range(10):
            await both.keeping.rotate(f"plain-{number}", {"more": f"new-{number}"})

    async def rotate() -> None:
        for _ in range(3):
            await both.rotation.rotate()

    await asyncio.gather(renew(), change(), rotate())
    await both.rotation.rotate()

    new = with_keys(bare_office, NEW)
    assert await ids(new) == {"new"}
    assert token(await new.lending.use("acme")) == vendor.good
    for number in range(10):
        lent = await new.lending.use(f"plain-{number}")
        assert lent.secrets["more"].reveal() == f"new-{number}"
        assert token(lent) == f"{number}-{CANARY}"


async def test_rotation_that_is_killed_again_and_again_is_finished_by_the_next(database_url: str) -> None:
    """Under load: somebody changes the same rows meanwhile."""
    world = PostgresWorld(database_url)
    await world.store.open()
    office = Office(world, "http://127.0.0.1:1", keyring=Keyring([OLD]))
    both = with_keys(office, NEW, OLD)
    await office.keeping.add_application(
        "app", "example", kind=ApplicationKind.SHARED, settings={}, secrets={"password": CANARY}
    )
    await fill(office, 12)
    changing = asyncio.create_task(_change_all_the_time(both))
    environment = {"STEPWELL_DATABASE_URL": database_url, "STEPWELL_KEYS": f"{NEW.text()},{OLD.text()}"}

    for passed in (1, 4, 6):
        async with child("rotator", **environment, STEPWELL_FAILPOINTS=f"in_key_rotation=kill@{passed}") as rotator:
            assert await rotator.ended() in (KILLED, 0)
    async with child("rotator", **environment) as rotator:
        await rotator.ended()
    changing.cancel()
    await asyncio.wait([changing])

    new = with_keys(office, NEW)
    assert await ids(new) == {"new"}
    for number in range(12):
        assert token(await new.lending.use(f"plain-{number}")) == f"{number}-{CANARY}"
    assert new.seals.application((await new.store.applications("app"))[0])["password"].reveal() == CANARY
    await world.store.close()


async def _change_all_the_time(office: Office) -> None:
    number = 0
    while True:
        number += 1
        await office.keeping.change(f"plain-{number % 12}", {"count": str(number)})


def test_key_shows_nothing() -> None:
    assert isinstance(OLD.secret, Secret)
    assert OLD.secret.reveal() not in repr(OLD)
