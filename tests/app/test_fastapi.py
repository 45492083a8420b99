"""A worker inside a web application's own process: FastAPI's lifespan, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest

from stepwell import App, Status, Step

fastapi = pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")


def application(flows: App) -> Any:
    """What the guide shows: the worker lives as long as the server does."""

    @flows.workflow
    async def double(number: int, step: Step) -> int:
        return await step.run("double", lambda: 2 * number)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with flows, flows.worker():
            yield

    web = fastapi.FastAPI(lifespan=lifespan)

    async def start(number: int) -> dict[str, str]:
        return {"id": str((await flows.start(double, number, key=str(number))).id)}

    async def result(id: str) -> dict[str, Any]:
        return {"result": await flows.result(id, timeout="30s")}

    web.post("/orders/{number}")(start)
    web.get("/orders/{id}")(result)
    return web


class Server(uvicorn.Server):  # type: ignore[name-defined, misc]  # importorskip knows no types
    """Says when it takes requests."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def served(web: Any) -> AsyncIterator[str]:
    """The application's URL while it is served."""
    server = Server(uvicorn.Config(web, port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        await server.is_up.wait()
    (listener,) = server.servers[0].sockets
    yield "http://127.0.0.1:{1}".format(*listener.getsockname())
    server.should_exit = True
    await serving


def call(url: str, method: str) -> Any:
    with urlopen(Request(url, method=method), timeout=20) as answer:
        return json.loads(answer.read())


async def test_requests_start_executions_that_the_same_process_runs(database_url: str) -> None:
    flows = App(database_url)

    async with served(application(flows)) as url:
        started = [await asyncio.to_thread(call, f"{url}/orders/{n}", "POST") for n in (4, 5, 4)]
        results = [await asyncio.to_thread(call, f"{url}/orders/{one['id']}", "GET") for one in started]

    assert started[0] == started[2] != started[1]
    assert results == [{"result": 8}, {"result": 10}, {"result": 8}]
    async with App(database_url) as after:
        assert {one.status for one in await after.list()} == {Status.COMPLETED}
