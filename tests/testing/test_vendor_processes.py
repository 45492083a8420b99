"""Fakes of vendors as processes of their own: they say where they are, send webhooks, and have a door for tests."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stepwell.testing.serving import served
from stepwell.testing.vendors import FakeClickUp
from stepwell.testing.vendors.__main__ import main

PATIENCE = 30.0


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the fake, which ends with the block."""
    command = [sys.executable, "-m", "stepwell.testing.vendors", *arguments]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert running.stdout is not None
        line = await asyncio.wait_for(running.stdout.readline(), PATIENCE)
        async with httpx2.AsyncClient(base_url=line.decode().strip(), trust_env=False, timeout=PATIENCE) as client:
            yield client
    finally:
        running.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(running.wait(), PATIENCE)


@pytest.fixture
async def azure() -> AsyncIterator[httpx2.AsyncClient]:
    async with process("azure-devops", "--options", '{"tokens": ["pat-9"]}') as client:
        client.auth = httpx2.BasicAuth("", "pat-9")
        yield client


async def create(azure: httpx2.AsyncClient) -> httpx2.Response:
    patch = [{"op": "add", "path": "/fields/System.Title", "value": "Told"}]
    kind = {"Content-Type": "application/json-patch+json"}
    return await azure.post("/fabrikam/Shop/_apis/wit/workitems/$Bug", json=patch, headers=kind)


async def done(azure: httpx2.AsyncClient, what: str) -> int:
    effects = (await azure.get("/_fake/ledger")).json()["effects"]
    return sum(effect["what"] == what for effect in effects)


async def test_process_sends_webhooks_again_until_they_are_taken(azure: httpx2.AsyncClient) -> None:
    bodies: asyncio.Queue[bytes] = asyncio.Queue()
    answers = [503, 202]

    async def take(request: Request) -> Response:
        bodies.put_nowait(await request.body())
        return Response(status_code=answers.pop(0))

    async with served(Starlette(routes=[Route("/hooks", take, methods=["POST"])])) as url:
        asked = {"publisherId": "tfs", "eventType": "workitem.created", "consumerInputs": {"url": f"{url}/hooks"}}
        await azure.post("/fabrikam/_apis/hooks/subscriptions", json=asked)
        made = await create(azure)
        first, second = [await asyncio.wait_for(bodies.get(), PATIENCE) for _ in range(2)]

    assert made.status_code == 200
    assert first == second
    assert b'"workitem.created"' in first


async def test_other_processes_turn_switches_and_see_what_was_done(azure: httpx2.AsyncClient) -> None:
    turned = await azure.post("/_fake/switches/drop_after_commit", json={"times": 1})
    with pytest.raises(httpx2.HTTPError):
        await create(azure)
    await azure.post("/_fake/switches/fail", json={"status": 503})
    refused = await create(azure)
    await azure.post("/_fake/switches/expire_tokens")
    expired = await create(azure)

    assert turned.status_code == 204
    assert (refused.status_code, expired.status_code) == (503, 203)
    assert await done(azure, "work item created") == 1


async def test_switch_that_is_none_is_refused_by_name(azure: httpx2.AsyncClient) -> None:
    refused = await azure.post("/_fake/switches/explode")

    assert refused.status_code == 404
    assert "drop_after_commit" in refused.json()["message"]


@pytest.mark.parametrize("body", [b'{"bogus": 1}', b"{", b"[1]", b'{"times": "x"}'])
async def test_switch_with_other_arguments_is_refused_and_turns_nothing(azure: httpx2.AsyncClient, body: bytes) -> None:
    refused = await azure.post("/_fake/switches/limit", content=body)

    assert refused.status_code == 400
    assert refused.json()["message"].startswith("limit: ")
    assert (await create(azure)).status_code == 200


async def test_switch_of_another_vendor_says_so_in_its_answer(azure: httpx2.AsyncClient) -> None:
    await azure.post("/_fake/switches/throttle")

    answer = await create(azure)

    assert answer.status_code == 501
    assert "FakeAzureDevOps has no such switch: Throttle" in answer.json()["message"]


async def test_other_processes_spoil_what_is_sent() -> None:
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: Request) -> Response:
        came.put_nowait(await request.body())
        return Response(status_code=202)

    async with served(Starlette(routes=[Route("/hooks", take, methods=["POST"])])) as url, process("clickup") as fake:
        fake.headers["Authorization"] = "pk_1"
        await fake.post("/api/v2/team/9001/webhook", json={"endpoint": f"{url}/hooks", "events": ["taskCreated"]})
        await fake.post("/_fake/switches/lose")
        await fake.post("/api/v2/list/901/task", json={"name": "Lost"})
        await fake.post("/_fake/switches/duplicate", json={"times": 1})
        made = (await fake.post("/api/v2/list/901/task", json={"name": "Told twice"})).json()
        first, second = [await asyncio.wait_for(came.get(), PATIENCE) for _ in range(2)]

    assert first == second
    assert made["id"].encode() in first


async def test_nothing_is_spoiled_where_nothing_is_sent() -> None:
    async with served(FakeClickUp()) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        refused = await client.post("/_fake/switches/duplicate")

    assert (refused.status_code, refused.json()["message"]) == (400, "duplicate: nothing sends these webhooks")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("clickup", "--options", "[1"), "--options: '[1' is no JSON object"),
        (("clickup", "--options", "[1]"), "--options: '[1]' is no JSON object"),
        (("clickup", "--options", '{"bogus": 1}'), "'bogus'"),
        (("clickup", "--speed", "0"), "--speed: '0' is not above 0"),
    ],
)
def test_fake_that_cannot_be_made_ends_with_one_sentence(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_port_in_use_ends_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as ended:
        main(["clickup", "--port", str(taken.getsockname()[1])])

    assert ended.value.code == 2
    assert "ddress already in use" in capsys.readouterr().err


async def test_process_ends_with_who_started_it() -> None:
    command = [sys.executable, "-m", "stepwell.testing.vendors", "github", "--until-stdin-closes"]
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert running.stdin is not None
    assert running.stdout is not None
    await asyncio.wait_for(running.stdout.readline(), PATIENCE)

    running.stdin.close()

    assert await asyncio.wait_for(running.wait(), PATIENCE) == 0


@pytest.mark.parametrize("vendor", ["clickup", "github"])
async def test_every_fake_can_be_a_process(vendor: str) -> None:
    async with process(vendor) as client:
        assert (await client.get("/_fake/ledger")).json() == {"effects": []}
