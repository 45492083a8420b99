"""A real browser opens the pages: nothing that somebody wrote runs in it, and no page of another site changes anything.

The security table: XSS, CSRF.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Annotated, Any

import httpx2
import msgspec
import pytest
import uvicorn
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from stepwell import App, Step
from stepwell.server import pages
from stepwell.server.serve import Server, bound
from stepwell.store.memory import MemoryStore
from stepwell.testing import running, served
from tests.server.test_callbacks import HOSTILE

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60.0  # for a browser to start on a busy machine

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")

MARK = "document.title='taken over'"
ATTACKS = [
    *(text.replace("alert(1)", MARK) for text in HOSTILE),
    f'"><svg onload="{MARK}">',
    f'" autofocus onfocus="{MARK}" x="',
    f'<iframe srcdoc="<script>parent.{MARK}</script>"></iframe>',
    '<meta http-equiv="refresh" content="0;url=about:blank">',
    "<base href=//evil.example><form action=//evil.example>",
]


async def opened(url: str, profile: Path) -> tuple[str, str]:
    """The page as the browser has it in the end, and what its console says."""
    assert BROWSER is not None
    browser = await asyncio.create_subprocess_exec(
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--enable-logging=stderr",
        "--virtual-time-budget=2000", "--dump-dom", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            page, console = await browser.communicate()
    except TimeoutError:
        browser.kill()
        raise
    return page.decode(), console.decode()


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """Its address."""
    with bound("127.0.0.1", 0) as listener:
        listener.setblocking(False)
        server = Server(app, listener)
        serving = asyncio.create_task(server.run())
        try:
            async with asyncio.timeout(SECONDS):
                await server.started.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await serving


def attacked(text: str) -> Any:
    """A type whose every text is hostile."""
    about = msgspec.Meta(title=text, description=text)
    return msgspec.defstruct(
        "Hostile",
        [
            ("short", Annotated[str, about, msgspec.Meta(max_length=50)], text[:50]),
            ("long", Annotated[str, about], text),
            ("data", Annotated[dict[str, str], about], msgspec.field(default_factory=dict)),
            ("is_granted", Annotated[bool, about]),
        ],
        kw_only=True,
    )


async def test_hostile_text_runs_nothing_in_a_browser(tmp_path: Path) -> None:
    app = App(MemoryStore())
    urls: list[str] = []

    @app.workflow
    async def flow(place: int, step: Step) -> None:
        kind, text = attacked(ATTACKS[place]), ATTACKS[place]
        urls.append(await step.callback_url("approval", type=kind, prompt=text, expires="1d"))
        await step.wait_for_event("approval", type=kind)

    async with running(app) as lab, serving(app):
        await app.start_many(flow, range(len(ATTACKS)))
        await lab.settle()
        assert len(urls) == len(ATTACKS)
        for url in urls:
            page, console = await opened(url, tmp_path)
            assert "It can be answered once" in page
            assert "<title>taken over</title>" not in page
            assert "Content Security Policy" not in console  # nothing has even tried


async def test_a_page_that_did_not_escape_would_be_found_and_stopped(tmp_path: Path) -> None:
    """The negative control: the browser says what it refuses, and our policy makes it refuse."""

    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = f"<!doctype html><title>mine</title><script>{MARK}</script><p>careless</p>"
            await HTMLResponse(body, headers=dict(pages.HEADERS))(scope, receive, send)

    with bound("127.0.0.1", 0) as listener:
        config = uvicorn.Config(careless, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        page, console = await opened(f"http://127.0.0.1:{listener.getsockname()[1]}/", tmp_path)
        server.should_exit = True
        await serving

    assert "careless" in page
    assert "<title>mine</title>" in page
    assert "Content Security Policy" in console


async def test_form_of_another_site_starts_nothing(tmp_path: Path) -> None:
    """Its body would do: the same one starts an execution when it does not come from a page of another site."""
    app = App(MemoryStore())

    @app.workflow
    async def flow(note: str) -> None:
        return None

    async with running(app), serving(app) as ours:
        target, body = f"{ours}/api/v1/executions", '{"workflow": "flow", "input": {"note": "="}}'
        name, _, value = body.partition("=")
        form = (
            f'<form action="{target}" method="post" enctype="text/plain"><input name="{escape(name)}"'
            f' value="{escape(value)}"></form><script>document.forms[0].submit()</script>'
        )

        async def evil(scope: Scope, receive: Receive, send: Send) -> None:
            await HTMLResponse(form)(scope, receive, send)

        async with served(evil) as theirs:
            page, _ = await opened(theirs, tmp_path)
        assert '"status":403' in page
        assert await app.list() == []
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(target, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201
