"""Clients of an App's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from stepwell import App
from stepwell.server import asgi

API = "http://localhost/api/v1"


@asynccontextmanager
async def client_of(app: App, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the API, without a network between."""
    transport = httpx2.ASGITransport(app=asgi(app, **options))
    async with httpx2.AsyncClient(transport=transport, base_url=API) as client:
        yield client


async def until_shown(client: httpx2.AsyncClient, path: str, what: str) -> None:
    """Ask for an execution until its reason has these words, with a limit."""
    async with asyncio.timeout(30):
        while what not in ((await client.get(path)).json()["why"] or ""):  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0)
