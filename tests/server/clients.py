"""Clients of an App's API."""

from __future__ import annotations

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
