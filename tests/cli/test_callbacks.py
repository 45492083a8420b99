"""`stepwell callbacks` and `executions show`: what is asked, the URL only where it is asked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from stepwell import App, Step
from stepwell.core.callbacks import PATH
from stepwell.sealing import new_key
from tests.cli.conftest import Cli

SIGNAL_SECONDS = 30.0  # how long a test waits for what must come


async def asking(database_url: str) -> UUID:
    """An execution that waits for an approval."""
    async with App(database_url) as app:

        @app.workflow
        async def order(step: Step) -> Any:
            await step.callback_url("approval", type=bool, expires="1d", prompt="Approve?")
            return await step.wait_for_event("approval", type=bool)

        handle = await app.start(order)
        async with app.worker(), asyncio.timeout(SIGNAL_SECONDS):
            while not await app.waits(execution_id=handle.id):
                pass
        return handle.id


def test_url_is_listed_and_answers_while_show_keeps_it_back(
    cli: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_PUBLIC_URL", "https://flows.example.com")
    execution = asyncio.run(asking(database_url))

    listed = cli("callbacks", "list", str(execution))
    (one,) = json.loads(cli("callbacks", "list", str(execution), "--json").stdout)["callbacks"]
    shown = cli("executions", "show", str(execution))

    assert one["url"].startswith(f"https://flows.example.com{PATH}")
    assert "approval, until" in listed.stdout
    assert f"  {one['url']}\n" in listed.stdout
    assert "ASKS BY URL" in shown.stdout
    assert PATH not in shown.stdout + shown.stderr
    asyncio.run(answered(database_url, one["url"]))
    assert "nothing can be answered now" in cli("callbacks", "list", str(execution)).stderr
    assert "Ann" in cli("executions", "show", str(execution)).stdout


def test_url_is_that_which_was_handed_out_where_nobody_says_the_address(
    cli: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's shell need not be set up as the workers are."""
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    monkeypatch.setenv("STEPWELL_PUBLIC_URL", "https://flows.example.com")
    execution = asyncio.run(asking(database_url))
    before = cli("callbacks", "list", str(execution)).stdout
    monkeypatch.delenv("STEPWELL_PUBLIC_URL")

    assert cli("callbacks", "list", str(execution)).stdout == before
    assert f"  https://flows.example.com{PATH}" in before


async def answered(database_url: str, url: str) -> None:
    async with App(database_url) as app:
        await app.answer_callback(url, True, by="Ann")
