"""`stepwell connections connect` in a process of its own: the browser comes back to it, and it stores the tokens."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from stepwell import App
from stepwell.core.vault import ConnectionStatus
from stepwell.sealing import new_key
from tests.vault.conftest import vendor as vendor
from tests.vault.vendor import CANARY, Vendor

SECONDS = 60.0  # how long a test waits for what must come


@pytest.fixture
async def app(database_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """With a connection that was never connected."""
    monkeypatch.setenv("STEPWELL_DATABASE_URL", database_url)
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_EGRESS_ALLOW", "127.0.0.1")
    async with App() as app:
        settings = {
            "client_id": "me",
            "authorize_url": f"{vendor.url}/authorize",
            "token_url": f"{vendor.url}/token",
        }
        await app.applications.add("app", "example", settings=settings, secrets={"client_secret": f"secret-{CANARY}"})
        await app.connections.add("acme", "example", application="app")
        yield app
        await app.connections.remove("acme")
        await app.applications.remove("app")


@asynccontextmanager
async def connecting(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stepwell", "connections", "connect", "acme", *arguments,
        env=dict(os.environ), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def address(process: asyncio.subprocess.Process) -> str:
    """Where the command says that a person agrees."""
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        line = (await process.stderr.readline()).decode()
    assert line.startswith("open this address, and agree: http"), line
    return line.split()[-1]


async def test_browser_that_comes_back_to_this_machine_connects_the_account(app: App) -> None:
    back = f"http://127.0.0.1:{free_port()}/oauth/callback"
    async with connecting("--redirect", back) as process, httpx2.AsyncClient() as browser:
        url = await address(process)
        stray = await browser.get(back.replace("/oauth/callback", "/favicon.ico"))
        page = await browser.get(url, follow_redirects=True)
        async with asyncio.timeout(SECONDS):
            output, errors = await process.communicate()

    assert (stray.status_code, page.status_code, "you may close this window" in page.text) == (404, 200, True)
    assert (process.returncode, output) == (0, b"acme  ok\n")
    assert CANARY.encode() not in output + errors
    assert (await app.connections.get("acme")).status is ConnectionStatus.OK


async def test_what_came_back_with_an_error_is_told(app: App) -> None:
    back = f"http://127.0.0.1:{free_port()}/oauth/callback"
    async with connecting("--redirect", back) as process, httpx2.AsyncClient() as browser:
        state = httpx2.URL(await address(process)).params["state"]
        await browser.get(back, params={"error": "access_denied", "state": state})
        async with asyncio.timeout(SECONDS):
            _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.decode() == "Error: connection 'acme' could not be connected: access_denied\n"


async def test_port_that_is_taken_is_told(app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        back = f"http://127.0.0.1:{taken.getsockname()[1]}/cb"
        async with connecting("--redirect", back) as process, asyncio.timeout(SECONDS):
            _, errors = await process.communicate()

    assert process.returncode == 2
    assert "give another --redirect" in errors.decode()
