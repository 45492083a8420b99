"""Processes that renew tokens are killed at the worst moment, or do it at once. The vendor is a process, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from stepwell.core.vault import ConnectionStatus
from stepwell.sealing import Keyring, new_key, parse_keys
from tests.store.world import PostgresWorld
from tests.vault.children import SECONDS, Child, child
from tests.vault.office import Office, agreed
from tests.vault.vendor import CANARY

HOUR = timedelta(hours=1)
KILLED = -9
DUE = 3  # the number of the first token after a connection: one goes to the code, one to the first token


@dataclass
class City:
    """A database with a connection whose token is due, its vendor, and the keys."""

    office: Office
    url: str
    environment: dict[str, str]

    async def log(self) -> dict[str, Any]:
        """What the vendor was asked."""
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"{self.url}/log")
        return dict(answer.json())

    def user(self, **environment: str) -> Any:
        """A process that uses the connection when it is told to go."""
        return child("user", "acme", **self.environment, **environment)


@asynccontextmanager
async def city(database_url: str, *arguments: str) -> AsyncIterator[City]:
    key = new_key("k1").text()
    world = PostgresWorld(database_url)
    await world.store.open()
    environment = {
        "STEPWELL_DATABASE_URL": database_url,
        "STEPWELL_KEYS": key,
        "STEPWELL_EGRESS_ALLOW": "127.0.0.1",
    }
    async with child("vendor", *arguments) as vendor:
        url = await vendor.line()
        office = Office(world, url, keyring=Keyring(parse_keys(key, where="here")))
        await office.furnish()
        await office.add()
        await office.connect()
        world.advance(HOUR)
        yield City(office, url, environment)
        await office.close()
    await world.store.close()


async def told(user: Child) -> str:
    """What a process says once it is told to use the connection."""
    assert await user.line() == "ready"
    await user.go()
    return await user.line()


async def blocked(office: Office) -> None:
    """Somebody waits for the row."""
    assert isinstance(office.world, PostgresWorld)
    question = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with await psycopg.AsyncConnection.connect(office.world.url, autocommit=True) as watcher:
        async with asyncio.timeout(SECONDS):
            while not (await watcher.execute(question)).rowcount:
                pass


@pytest.mark.parametrize("count", [2, 6])
async def test_processes_that_renew_at_once_ask_the_vendor_once(database_url: str, count: int) -> None:
    async with city(database_url) as place, AsyncExitStack() as stack:
        users = [await stack.enter_async_context(place.user()) for _ in range(count)]

        answers = await asyncio.gather(*map(told, users))

        assert set(answers) == {str(DUE)}
        assert (await place.log())["grants"] == 2
        assert (await place.office.row()).status is ConnectionStatus.OK


async def test_tokens_outlive_a_kill_between_answer_and_commit_where_the_vendor_allows_it(database_url: str) -> None:
    """Shopify's rule: the refresh token before the newest works until the new access token is used."""
    async with city(database_url, "lenient") as place:
        async with place.user(STEPWELL_FAILPOINTS="after_token_answer=kill") as killed:
            assert await told(killed) == ""
            assert await killed.ended() == KILLED
        async with place.user() as next_one:
            answer = await told(next_one)

        log = await place.log()
        assert (answer, log["grants"]) == (str(DUE + 1), 3)
        assert log["good"].split("-")[1] == answer


async def test_kill_between_answer_and_commit_is_told_where_the_grant_is_dead(database_url: str) -> None:
    async with city(database_url) as place:
        async with place.user(STEPWELL_FAILPOINTS="after_token_answer=kill") as killed:
            await told(killed)
            await killed.ended()
        place.office.world.advance(timedelta(minutes=1))
        async with place.user() as next_one:
            answer = await told(next_one)

        row = await place.office.row()
        assert (answer, row.status) == ("NeedsReauthorisation", ConnectionStatus.NEEDS_REAUTH)
        assert "was lost, which may be why" in (row.error or "")


async def test_killed_process_holds_nobody_up(database_url: str) -> None:
    """The lock ends with its process: those that wait for the row do not wait for a lease."""
    async with (
        city(database_url, "lenient") as place,
        place.user(STEPWELL_FAILPOINTS="after_token_answer=pause") as frozen,
        place.user() as other,
    ):
        holding = asyncio.create_task(told(frozen))
        await frozen.stopped()
        waiting = asyncio.create_task(told(other))
        await blocked(place.office)
        frozen.kill()

        assert (await holding, await waiting) == ("", str(DUE + 1))


async def test_connecting_again_in_another_process_is_seen(database_url: str) -> None:
    async with city(database_url) as place:
        consent = await place.office.consents.begin("acme", redirect_uri=None, is_bound=False)
        async with place.user() as user:
            assert await user.line() == "ready"
            await place.office.consents.complete(await agreed(consent.url), binding=None)
            await user.go()

            assert CANARY not in (answer := await user.line())
            assert answer == str((await place.log())["good"].split("-")[1])
