"""Canary strings in every credential are found nowhere but where they belong.

The security table: secrets in logs, errors and history. Everything that the program puts out is collected: logs of
every level and library, the whole database, errors with their tracebacks, what commands print.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stepwell import App, Retry, Step
from stepwell.cli.main import commands
from stepwell.connectors import HttpConnector
from stepwell.errors import AuthorisationFailed, StepwellError
from stepwell.running import current_connected
from stepwell.sealing import new_key
from stepwell.testing.serving import served
from tests.store.world import SIGNAL_SECONDS
from tests.vault.office import agreed
from tests.vault.vendor import CANARY, Vendor

BACK = "https://example.com/oauth/callback"
SEALED = {("application", "credentials"), ("connection", "credentials"), ("connection", "hook_secrets")}


class Api(HttpConnector):
    name = "canary-api"
    title = "Canary"
    base_url = "http://unused.example.com"

    async def read(self) -> str:
        answer = await self.request("GET", "/me", operation="read")
        return str(answer.status)


class Collector(logging.Handler):
    """Every record of every logger, with its arguments and tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))
        self.texts.append(repr(record.args))


@pytest.fixture
def logged() -> Iterator[Collector]:
    collector, root = Collector(), logging.getLogger()
    before = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    yield collector
    root.removeHandler(collector)
    root.setLevel(before)


@pytest.fixture
async def refusing() -> AsyncIterator[str]:
    """An API that echoes what it was sent, as bad ones do, and refuses it."""

    async def answer(request: Request) -> JSONResponse:
        return JSONResponse({"error": "forbidden", "you": "sent something"}, 403)

    async with served(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        yield url


async def connect(app: App, vendor: Vendor, refusing: str) -> None:
    """Accounts with credentials of every kind, by consent and given."""
    settings = {
        "client_id": "me",
        "authorize_url": f"{vendor.url}/authorize",
        "token_url": f"{vendor.url}/token",
        "redirect_uri": BACK,
    }
    await app.applications.add("app", "canary-api", settings=settings, secrets={"client_secret": f"secret-{CANARY}"})
    await app.connections.add(
        "acme", "canary-api", application="app", settings={"base_url": vendor.url}, hook_secrets=[f"hook-{CANARY}"]
    )
    consent = await app.connections.authorise("acme")
    await app.connections.complete(await agreed(consent.url))
    await app.applications.add("query", "clickup", settings=settings, secrets={"client_secret": f"secret-{CANARY}"})
    await app.connections.add("in-query", "clickup", application="query")
    consent = await app.connections.authorise("in-query")
    with suppress(AuthorisationFailed):  # ClickUp has no PKCE, which this vendor wants; but it was asked
        await app.connections.complete(await agreed(consent.url))
    await app.connections.add(
        "plain", "canary-api", settings={"base_url": refusing}, secrets={"token": f"plain-{CANARY}"}
    )


async def live(app: App, vendor: Vendor, refusing: str) -> list[str]:
    """A life with credentials: used, renewed, refused, rotated, failing; what it has told by errors and results."""
    told: list[str] = []
    await connect(app, vendor, refusing)

    @app.workflow(retry=Retry(1))
    async def use(name: str, step: Step) -> str:
        return await step.run("read", Api(name).read)

    @app.workflow(retry=Retry(1))
    async def leak(name: str, step: Step) -> Any:
        async def lent() -> Any:
            return await current_connected().connections.use(name)

        return await step.run("leak", lent)

    @app.workflow(retry=Retry(1))
    async def fail(name: str, step: Step) -> None:
        async def raising() -> None:
            connection = await current_connected().connections.use(name)
            raise ValueError(f"no luck with {connection} and {connection.secrets!r} {connection.secrets['token']}")

        await step.run("fail", raising)

    async with app.worker():
        for workflow, name in ((use, "acme"), (use, "plain"), (leak, "acme"), (fail, "acme"), (fail, "plain")):
            handle = await app.start(workflow, name)
            try:
                told.append(repr(await handle.result(timeout="30s")))
            except StepwellError as error:
                told.append("".join(traceback.format_exception(error)))
            told += [repr(await app.get(handle.id)), repr(await app.steps(handle.id)), str(handle.id)]
        vendor.good = None  # revoked at the vendor: refused, and renewed
        told.append(repr(await app.connections.test("acme")))
    await app.connections.rotate("plain", {"token": f"other-{CANARY}"})
    await app.connections.rotate_hook_secret("acme", f"hook2-{CANARY}")
    await app.applications.change("app", secrets={"client_secret": f"wrong-{CANARY}"})
    for call in (app.connections.test("acme"), app.connections.add("acme", "x", secrets={"token": CANARY})):
        try:
            told.append(repr(await call))
        except StepwellError as error:
            told.append("".join(traceback.format_exception(error)))
    told.append(repr([await app.connections.list(), await app.applications.list(), await app.keys.list()]))
    return told


def dumped(url: str) -> str:
    """The text of every column of every table but those that are sealed, and of every view."""
    texts = []
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "select table_name, column_name, data_type from information_schema.columns where table_schema = 'stepwell'"
        ).fetchall()
        for table, column, kind in columns:
            if (table, column) in SEALED:
                continue
            name = sql.Identifier(column)
            value = (
                sql.SQL("encode({}, 'escape')").format(name) if kind == "bytea" else sql.SQL("{}::text").format(name)
            )
            query = sql.SQL("select {} from {}").format(value, sql.Identifier("stepwell", table))
            texts += [f"{table}.{column}: {text}" for (text,) in connection.execute(query) if text is not None]
    return "\n".join(texts)


def sealed(url: str) -> list[bytes]:
    with psycopg.connect(url) as connection:
        found = [
            connection.execute(
                sql.SQL("select {} from {}").format(sql.Identifier(column), sql.Identifier("stepwell", table))
            )
            for table, column in sorted(SEALED)
        ]
        return [bytes(value) for rows in found for (value,) in rows if value is not None]


def printed(url: str, executions: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What every command that could shows, in both forms."""
    asked = [["connections", "list"], ["connections", "show", "acme"], ["connections", "test", "plain"]]
    asked += [["applications", "list"], ["keys", "list"], ["keys", "rotate"], ["executions", "list"], ["doctor"]]
    asked += [[*words, one] for one in executions for words in (["executions", "show"], ["executions", "export"])]
    asked += [["connections", "add", "acme", "x", "--secret-from", "token=env:THE_CANARY"]]
    monkeypatch.setenv("THE_CANARY", CANARY)
    monkeypatch.setenv("STEPWELL_DATABASE_URL", url)
    output = []
    for words in asked:
        for more in ([], ["--json"], ["--debug"]):
            with suppress(SystemExit):
                output.append(CliRunner().invoke(commands, [*words, *more]).output)
    return "\n".join(output)


async def test_canaries_are_nowhere(
    database_url: str,
    vendor: Vendor,
    refusing: str,
    logged: Collector,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_EGRESS_ALLOW", "127.0.0.1")
    async with asyncio.timeout(SIGNAL_SECONDS * 3), App(database_url) as app:
        told = await live(app, vendor, refusing)
        executions = [str(one.id) for one in await app.list()]

    shown = await asyncio.to_thread(printed, database_url, executions, monkeypatch)

    assert "is a Secret, which is never stored" in "".join(told)
    assert "no luck with Connection(name='acme'" in "".join(told)
    assert "acme" in shown
    assert any("stepwell" in text or "httpcore" in text for text in logged.texts)
    assert len(sealed(database_url)) == 6
    for what, text in {
        "an answer or error": "\n".join(told),
        "a log": "\n".join(logged.texts),
        "a table": dumped(database_url),
        "a sealed value": repr(sealed(database_url)),
        "a command": shown,
        "a file": await asyncio.to_thread(_files, tmp_path),
    }.items():
        found = text.find(CANARY)
        assert found < 0, f"{what} shows a secret: ...{text[max(0, found - 200) : found + 40]}"


def _files(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_dump_of_the_whole_database_holds_no_canary(
    database_url: str, vendor: Vendor, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not in the sealed columns: they are sealed."""
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_EGRESS_ALLOW", "127.0.0.1")
    async with asyncio.timeout(SIGNAL_SECONDS * 3), App(database_url) as app:
        await live(app, vendor, refusing)

    dump = await asyncio.to_thread(_copy_everything, database_url)

    assert b"acme" in dump
    for form in (CANARY.encode(), CANARY.encode().hex().encode()):
        assert form not in dump


def _copy_everything(url: str) -> bytes:
    """What a dump holds: every table as COPY gives it."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'stepwell'").fetchall()
        parts = []
        for (table,) in tables:
            with connection.cursor().copy(
                sql.SQL("copy {} to stdout").format(sql.Identifier("stepwell", table))
            ) as rows:
                parts += [bytes(row) for row in rows]
    return b"".join(parts)


async def test_step_result_with_a_secret_fails_with_its_path(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    async with App(database_url) as app:
        await app.connections.add("plain", "example", secrets={"token": CANARY})

        @app.workflow
        async def leak(step: Step) -> Any:
            async def lent() -> Any:
                return {"deep": [await current_connected().connections.use("plain")]}

            return await step.run("leak", lent)

        async with app.worker():
            with pytest.raises(
                StepwellError, match=r"step 'leak': \$\.deep\[0\]\.secrets\.token is a Secret"
            ) as caught:
                await (await app.start(leak)).result(timeout="30s")

    assert CANARY not in "".join(traceback.format_exception(caught.value))
