"""The server is killed with -9 around an answer: it counts with its event, or not at all, and nobody is heard twice."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stepwell import App, Step
from stepwell.app.keys import new_key_id
from stepwell.core.callbacks import PATH
from stepwell.sealing import new_key

SECONDS = 60.0  # on a busy machine


@asynccontextmanager
async def server(database_url: str, **environment: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server process, and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stepwell", "serve", "--port", "0", "--database", database_url,
        env={**os.environ, "STEPWELL_PUBLIC_URL": "", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            assert process.stdout is not None
            while not (ready := re.search(rb"(http://127.0.0.1:\d+)/api", await process.stdout.readline())):
                pass
        yield process, ready[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def asked(app: App) -> tuple[Any, str]:
    """An execution that waits, and what follows the address in its URL."""
    urls: list[str] = []

    @app.workflow
    async def order(step: Step) -> Any:
        url = await step.callback_url("approval", type=bool, expires="1d")
        await step.run("mail", urls.append, url)
        return await step.wait_for_event("approval", type=bool)

    handle = await app.start(order)
    async with app.worker():
        async with asyncio.timeout(SECONDS):
            while not await app.waits(execution_id=handle.id):
                pass
    return handle, PATH + urls[0].rpartition(PATH)[2]


@pytest.mark.parametrize(("point", "counts"), [("before_callback_commit", False), ("after_callback_commit", True)])
async def test_kill_around_an_answer(
    database_url: str, monkeypatch: pytest.MonkeyPatch, point: str, counts: bool
) -> None:
    monkeypatch.setenv("STEPWELL_KEYS", new_key(new_key_id()).text())
    monkeypatch.setenv("STEPWELL_PUBLIC_URL", "https://flows.example.com")
    async with App(database_url) as app, httpx2.AsyncClient(timeout=SECONDS) as client:
        handle, path = await asked(app)
        async with server(database_url, STEPWELL_FAILPOINTS=f"{point}=kill") as (process, address):
            with pytest.raises(httpx2.TransportError):
                await client.post(f"{address}{path}?by=Ann", json=True)
            assert await process.wait() == -signal.SIGKILL
        async with server(database_url) as (_, address):
            again = await client.post(f"{address}{path}?by=Bob", json=False)

        assert again.status_code == (409 if counts else 200)
        async with app.worker():
            assert await app.result(handle.id, timeout=timedelta(seconds=SECONDS)) is counts
        assert [(one.actor, one.action) for one in await app.audit(handle.id)] == [
            ("Ann" if counts else "Bob", "answer")
        ]
        assert len(await app.events("approval", to=handle.id)) == 1
