"""A client connects to addresses that were checked, and to no others (FAULTS: SSRF, DNS rebinding)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stepwell.egress import EgressRefused, Rules, guarded_client
from stepwell.testing.serving import served


async def hello(request: Any) -> PlainTextResponse:
    return PlainTextResponse(request.headers["host"])


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with served(Starlette(routes=[Route("/", hello)])) as url:
        yield url


async def test_private_address_is_refused_however_it_is_written(url: str) -> None:
    port = url.rpartition(":")[2]
    async with guarded_client(Rules()) as client:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001"):
            with pytest.raises(EgressRefused):
                await client.get(f"http://{host}:{port}/")


async def test_allowed_address_is_reached_under_its_own_name(url: str) -> None:
    async with guarded_client(Rules.allowing(["localhost"])) as client:
        answer = await client.get(url.replace("127.0.0.1", "localhost"))

    assert answer.text == url.removeprefix("http://").replace("127.0.0.1", "localhost")


async def test_name_is_resolved_once_and_what_was_checked_is_connected_to(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says one thing to the check and another to the connection finds nobody to say it to."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    loop = asyncio.get_running_loop()
    own = loop.getaddrinfo
    asked: list[str] = []

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
        if host != "flips.example":
            return await own(host, port, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with guarded_client(Rules.allowing(["127.0.0.0/8"])) as client:
        answer = await client.get(url.replace("127.0.0.1", "flips.example"))
        assert answer.status_code == 200
        assert asked == ["flips.example"]
    async with guarded_client(Rules.allowing(["127.0.0.0/8"])) as client:
        with pytest.raises(EgressRefused):
            await client.get(url.replace("127.0.0.1", "flips.example"))


async def test_environment_gives_no_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with guarded_client(Rules.allowing(["127.0.0.1"])) as client:
        assert (await client.get(url)).status_code == 200


async def test_name_without_an_address_is_a_connection_error() -> None:
    async with guarded_client(Rules()) as client:
        with pytest.raises(httpx2.ConnectError, match="cannot be resolved"):
            await client.get("http://no-such-host.invalid/")


async def test_requests_are_not_logged_with_their_addresses(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Some vendors take secrets in the query."""
    with caplog.at_level(logging.DEBUG):
        async with guarded_client(Rules.allowing(["127.0.0.1"])) as client:
            await client.get(url, params={"client_secret": "canary-3"})

    assert "canary-3" not in caplog.text
