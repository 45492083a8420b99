"""Every route against every scope, by the OpenAPI document: who may what (the security table: read key may write)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from stepwell import App, Scope
from stepwell.server import asgi
from stepwell.server.openapi import document
from stepwell.server.table import PREFIX, TABLE
from stepwell.store.memory import MemoryStore
from tests.server.clients import API, client_of

OPERATIONS = [
    (method, path.removeprefix(PREFIX), Scope(operation["x-stepwell-scope"]))
    for path, item in document(TABLE, prefix=PREFIX)["paths"].items()
    for method, operation in item.items()
]

operations = pytest.mark.parametrize(("method", "path", "needed"), OPERATIONS, ids=lambda part: str(part))

Tokens = dict[Scope, str]


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[httpx2.AsyncClient, Tokens]]:
    async with App(MemoryStore()) as app, client_of(app) as client:
        secrets = {scope: (await app.create_token(scope, scope)).secret.reveal() for scope in Scope}
        yield client, secrets


def some(path: str) -> str:
    """The path, with something for each of its parameters."""
    return re.sub(r"{\w+}", "0192f0c1-0000-7000-8000-000000000000", path)


async def ask(client: httpx2.AsyncClient, method: str, path: str, secret: str | None) -> int:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    answer = await client.request(method, some(path), headers=headers)
    return answer.status_code


@operations
@pytest.mark.parametrize("scope", Scope)
async def test_scope_opens_what_it_covers_and_nothing_else(
    method: str, path: str, needed: Scope, scope: Scope, guarded: tuple[httpx2.AsyncClient, Tokens]
) -> None:
    client, secrets = guarded
    if path == "/executions/events" and scope.covers(needed):
        pytest.skip("a stream that it may open does not end by itself")

    status = await ask(client, method, path, secrets[scope])

    assert (status == 403) is not scope.covers(needed)
    assert status != 401


@operations
@pytest.mark.parametrize("secret", [None, "sw_wrong", "sw_", "x y"])
async def test_nobody_gets_in_without_a_good_token(
    method: str, path: str, needed: Scope, secret: str | None, guarded: tuple[httpx2.AsyncClient, Tokens]
) -> None:
    client, _ = guarded

    assert await ask(client, method, path, secret) == 401


@operations
async def test_nobody_gets_in_from_elsewhere_while_there_are_no_tokens(method: str, path: str, needed: Scope) -> None:
    transport = httpx2.ASGITransport(app=asgi(App(MemoryStore())), client=("10.1.2.3", 4711))
    async with httpx2.AsyncClient(transport=transport, base_url=API) as client:
        assert await ask(client, method, path, None) == 401


@operations
def test_what_changes_something_needs_more_than_reading(method: str, path: str, needed: Scope) -> None:
    assert (method == "get") or needed.covers(Scope.OPERATE)
