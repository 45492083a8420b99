"""The OpenAPI document is exact: nothing is answered that it does not describe, and no input makes the server fail.

Hostile texts are Schemathesis' trade: NUL, lone surrogates, numbers beyond all types, deep and endless values.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from stepwell import App
from stepwell.server.table import PREFIX, TABLE
from stepwell.store.memory import MemoryStore
from tests.server.flows import workflows
from tests.server.living import living

NO_CHECKS = "positive_data_acceptance"  # what an input means is no matter of its schema: 422 is an honest answer


async def hunted(app: App, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What Schemathesis finds in the living server of this App."""
    async with living(app) as url, app.worker():
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}{PREFIX}/openapi.json", *options]
        command += ["--exclude-checks", NO_CHECKS, "--exclude-path-regex", "/events$|/tokens", "--no-color"]
        command += ["--continue-on-failure", "--generation-database", "none", "--seed", "1", "--request-timeout", "30"]
        return await asyncio.to_thread(
            subprocess.run, command, cwd=folder, capture_output=True, text=True, timeout=250, check=False
        )


async def test_schemathesis_finds_no_failure_and_no_breach_in_memory(tmp_path: Path) -> None:
    async with App(MemoryStore()) as app:
        workflows(app)

        found = await hunted(app, tmp_path, "-n", "10")

    assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
    assert int(re.findall(r"(\d+) generated", found.stdout)[0]) > 2_000


async def test_schemathesis_finds_no_failure_and_no_breach_on_postgresql(tmp_path: Path, database_url: str) -> None:
    async with App(database_url) as app:
        workflows(app)

        found = await hunted(app, tmp_path, "-n", "5", "--phases", "fuzzing,stateful")

    assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]


async def test_document_describes_every_route_and_no_other(client: httpx2.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()

    assert described["openapi"] == "3.1.0"
    assert {(path, method) for path, item in described["paths"].items() for method in item} == {
        (PREFIX + route.path, route.method.lower()) for route in TABLE
    }
    names = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for item in described["paths"].values() for operation in item.values())


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
async def test_another_method_is_refused_with_those_that_there_are(route, client: httpx2.AsyncClient) -> None:  # type: ignore[no-untyped-def]
    path = re.sub(r"{\w+}", "x", route.path)

    answer = await client.request("PATCH", path)

    assert answer.status_code == 405
    assert route.method in answer.headers["Allow"].split(", ")
    assert answer.json()["type"] == "urn:stepwell:problem:method-not-allowed"


async def test_head_says_what_get_would_without_a_body(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/executions")).status_code == 200
    assert (await client.head("/executions/nonsense")).status_code == 422
