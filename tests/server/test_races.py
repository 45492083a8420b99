"""Many clients at once, on several servers of one database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import psycopg
import pytest

from stepwell import App
from tests.server.flows import workflows
from tests.server.living import SIGNAL_SECONDS, living

Clients = list[httpx2.AsyncClient]


@pytest.fixture
async def clients(database_url: str) -> AsyncIterator[Clients]:
    """A client of each of two servers."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            app = await stack.enter_async_context(App(database_url))
            workflows(app)
            url = await stack.enter_async_context(living(app))
            client = httpx2.AsyncClient(base_url=f"{url}/api/v1", timeout=SIGNAL_SECONDS)
            found.append(await stack.enter_async_context(client))
        yield found


async def test_hundred_starts_with_one_key_on_two_servers_are_one_execution(clients: Clients) -> None:
    """F104: nobody loses with a 5xx, and everybody gets the one id."""
    body = {"workflow": "keep", "input": {"value": 1}}

    answers = await asyncio.gather(
        *(clients[n % 2].post("/executions", json=body, headers={"Idempotency-Key": "one"}) for n in range(100))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await clients[0].get("/executions/count")).json()["counts"]["pending"] == 1


async def test_of_starts_with_one_key_and_other_inputs_one_wins_and_the_others_hear_of_it(clients: Clients) -> None:
    """F104."""
    bodies = [{"workflow": "keep", "input": {"value": n}, "key": "one"} for n in range(40)]

    answers = await asyncio.gather(*(clients[n % 2].post("/executions", json=body) for n, body in enumerate(bodies)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 39}
    assert len({answer.json().get("execution_id") or answer.json()["id"] for answer in answers}) == 1


async def test_hundred_events_with_one_id_on_two_servers_are_one_event(clients: Clients) -> None:
    """F104."""
    body = {"name": "paid", "key": "k", "id": "one", "payload": 1}

    answers = await asyncio.gather(*(clients[n % 2].post("/events", json=body) for n in range(100)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert len((await clients[1].get("/events")).json()["events"]) == 1


async def test_clients_that_leave_leave_no_connection_to_the_database_behind(
    clients: Clients, database_url: str
) -> None:
    """F35: hundreds of requests that are broken off, and as many connections as before."""
    started = (await clients[0].post("/executions", json={"workflow": "wait"})).json()["id"]
    paths = [
        f"/executions/{started}/result?wait=60s",
        f"/executions/{started}/events",
        "/executions/events",
        "/executions",
    ]
    for path in paths[1:]:
        async with clients[0].stream("GET", path) as answer:
            await anext(answer.aiter_raw())
    await break_off(clients[0], paths, times=5)
    before = connections(database_url)

    await break_off(clients[0], paths, times=75)

    assert connections(database_url) == before
    assert (await clients[0].get("/executions/count")).status_code == 200


async def break_off(client: httpx2.AsyncClient, paths: list[str], *, times: int) -> None:
    for turn in range(times):
        asking = [asyncio.create_task(client.get(path)) for path in paths]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.001 * (turn % 7))
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    return int(found[0])
