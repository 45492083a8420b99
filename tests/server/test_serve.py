"""`stepwell serve` and `dev` as processes, and the API inside other applications."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stepwell import App, InvalidOption
from stepwell.server import asgi
from stepwell.server.serve import bound, refuse_open_door, url_of
from stepwell.store.memory import MemoryStore
from tests.server.flows import workflows
from tests.server.living import SIGNAL_SECONDS, living

GARBAGE = [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 1_000, b"A" * 200_000]

FLOWS = """
from stepwell import App, Step, webhook

app = App()

@app.workflow(trigger=webhook("github", "push"))
async def pushed() -> None: ...

@app.workflow
async def greet(name: str, step: Step) -> str:
    return await step.run("compose", lambda: f"Hello, {name}!")
"""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of ours, and the URL of the API that it says; ended with the block."""
    (folder / "flows.py").write_text(FLOWS)
    process = subprocess.Popen(
        [sys.executable, "-m", "stepwell", *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        said = ""
        while (found := re.search(r"(http://\S+/api/v1)", said)) is None or "ready" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield process, found[1]
    finally:
        guard.cancel()
        process.terminate()
        process.communicate()


def test_server_puts_the_triggers_of_its_code_in_force_before_it_takes_a_delivery(
    tmp_path: Path, database_url: str
) -> None:
    """Else what comes before the first worker would be stored, answered, and start nothing."""
    with running(tmp_path, "serve", "flows.py", "--port", "0", "--database", database_url) as (_, url):
        hooks = httpx2.get(f"{url}/hooks").json()["hooks"]

    assert [(hook["source"], hook["workflow"]) for hook in hooks] == [("github", "pushed")]


def test_server_without_code_accepts_any_workflow_and_stops_when_it_is_told_to(
    tmp_path: Path, database_url: str
) -> None:
    with running(tmp_path, "serve", "--port", "0", "--database", database_url) as (process, url):
        answer = httpx2.post(f"{url}/executions", json={"workflow": "anything", "input": {"n": 1}})
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)

    assert answer.status_code == 201
    assert code == 0


def test_server_with_code_refuses_input_that_does_not_fit(tmp_path: Path, database_url: str) -> None:
    with running(tmp_path, "serve", "flows.py", "--port", "0", "--database", database_url) as (_, url):
        answer = httpx2.post(f"{url}/executions", json={"workflow": "greet", "input": {"name": 1}})

    assert answer.status_code == 422


def test_dev_serves_the_api_and_runs_what_it_starts_also_after_a_save(tmp_path: Path, database_url: str) -> None:
    with running(tmp_path, "dev", "flows.py", "--port", "0", "--database", database_url) as (_, url):
        started = httpx2.post(f"{url}/executions", json={"workflow": "greet", "input": {"name": "Ada"}}).json()
        before = httpx2.get(f"{url}/executions/{started['id']}/result?wait=30s", timeout=60).json()
        (tmp_path / "flows.py").write_text(FLOWS.replace("Hello", "Bye"))
        after = None
        while after != "Bye, Ada!":  # requests wait while one worker follows the other, none is refused
            started = httpx2.post(
                f"{url}/executions", json={"workflow": "greet", "input": {"name": "Ada"}}, timeout=60
            ).json()
            after = httpx2.get(f"{url}/executions/{started['id']}/result?wait=30s", timeout=60).json()["result"]

    assert before["result"] == "Hello, Ada!"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_server_that_others_can_reach_is_refused_without_a_token(host: str) -> None:
    async with App(MemoryStore()) as app:
        try:
            listener = bound(host, 0)
        except InvalidOption:
            pytest.skip("this machine has no such address")
        with listener:
            with pytest.raises(InvalidOption, match="stepwell tokens create"):
                await refuse_open_door(app, listener)
            await app.create_token("x", "read")
            await refuse_open_door(app, listener)


def test_address_that_is_taken_is_refused_by_name() -> None:
    with bound("127.0.0.1", 0) as listener, pytest.raises(InvalidOption, match="choose another --port"):
        bound("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_url_leads_to_the_listener(host: str) -> None:
    with bound(host, 0) as listener:
        assert url_of(listener).endswith(str(listener.getsockname()[1]))


async def test_forwarded_headers_are_believed_of_nobody_by_default(app: App) -> None:
    await app.create_token("x", "read")
    async with living(app) as url, httpx2.AsyncClient() as client:
        answer = await client.get(f"{url}/api/v1/executions", headers={"X-Forwarded-For": "127.0.0.1"})

    assert answer.status_code == 401


async def test_garbage_on_the_wire_ends_its_own_connection_only(app: App) -> None:
    async with living(app) as url, httpx2.AsyncClient() as client:
        host, port = url.removeprefix("http://").split(":")
        for garbage in GARBAGE:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            writer.write_eof()
            async with asyncio.timeout(SIGNAL_SECONDS):
                with suppress(ConnectionResetError):
                    await reader.read()
            writer.close()

        assert (await client.get(f"{url}/api/v1/executions")).status_code == 200


async def test_connections_of_a_server_have_no_delay(app: App) -> None:
    """Without it each answer of two parts takes 40 ms longer."""
    with bound("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


# --- inside other applications ------------------------------------------------------------------------------------


@asynccontextmanager
async def requests_to(web: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an ASGI application, within its lifespan."""
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    outgoing: asyncio.Queue[Any] = asyncio.Queue()
    living = asyncio.create_task(web({"type": "lifespan", "asgi": {"version": "3.0"}}, incoming.get, outgoing.put))
    await incoming.put({"type": "lifespan.startup"})
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=web), base_url="http://localhost") as client:
        yield client
    await incoming.put({"type": "lifespan.shutdown"})
    assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
    await living


def flows() -> App:
    app = App(MemoryStore())
    workflows(app)
    return app


async def test_mounted_in_fastapi_it_shares_the_app_and_its_worker() -> None:
    fastapi = pytest.importorskip("fastapi")
    app = flows()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with app, app.worker():
            yield

    web = fastapi.FastAPI(lifespan=lifespan)
    web.mount("/flows", asgi(app))
    async with requests_to(web) as client:
        started = await client.post("/flows/api/v1/executions", json={"workflow": "greet", "input": {"name": "Ada"}})
        result = await client.get(f"{started.headers['Location']}/result?wait=30s")

    assert started.headers["Location"].startswith("/flows/api/v1/executions/")
    assert result.json()["result"] == "Hello, Ada!"
    assert app.running_loop is None


async def test_mounted_in_starlette_at_the_top_it_opens_the_app_by_itself() -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = flows()
    web = Starlette(routes=[Mount("/", asgi(app))])
    async with requests_to(web) as client:
        answer = await client.get("/api/v1/executions")
    await app.close()

    assert answer.status_code == 200


async def test_alone_it_opens_the_app_and_closes_it() -> None:
    app = flows()
    async with requests_to(asgi(app)) as client:
        assert app.running_loop is asyncio.get_running_loop()
        assert (await client.get("/api/v1/executions")).status_code == 200

    assert app.running_loop is None


def test_importing_the_package_imports_no_server() -> None:
    heavy = ["starlette", "uvicorn", "httpx2", "cryptography", "authlib"]
    program = f"import sys, stepwell, stepwell.server; print([m for m in {json.dumps(heavy)} if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"
