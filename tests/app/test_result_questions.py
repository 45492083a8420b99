"""When a caller that waits for results asks the store: an answer that cannot be there yet is not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stepwell import App, Step
from stepwell.core.model import Execution, ExecutionId
from stepwell.store.memory import MemoryStore
from tests.databases import Admin

SIGNAL_SECONDS = 20


class Asked(MemoryStore):
    """Counts the questions, and refuses some."""

    questions = 0

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []

    async def ended(self, ids: Sequence[ExecutionId]) -> Sequence[Execution]:
        self.questions += 1
        if self.errors:
            raise self.errors.pop()
        return await super().ended(ids)


class Stage:
    """An App that has waited for a result before, and a workflow that goes on when it is let."""

    def __init__(self) -> None:
        self.store = Asked()
        self.app = App(self.store)
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

        @self.app.workflow
        async def flow(step: Step) -> str:
            async def body() -> str:
                self.begun.set()
                await self.gate.wait()
                return "done"

            return await step.run("body", body)

    async def warm_up(self) -> None:
        self.gate.set()
        await (await self.app.start("flow")).result()
        self.gate.clear()
        self.begun.clear()
        self.store.questions = 0


@pytest.fixture(autouse=True)
def no_backstop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only hints lead to a question here: without one the tests would take an hour."""
    monkeypatch.setattr("stepwell.client.CHECK_EVERY", timedelta(hours=1))


async def test_result_of_what_was_just_started_is_asked_for_once_when_it_is_there() -> None:
    stage = Stage()
    async with asyncio.timeout(SIGNAL_SECONDS), stage.app.worker():
        await stage.warm_up()
        result = asyncio.create_task((await stage.app.start("flow")).result())
        await stage.begun.wait()
        assert stage.store.questions == 0
        stage.gate.set()
        assert await result == "done"
    assert stage.store.questions == 1


async def test_result_that_was_there_before_anybody_waited_is_asked_for_at_once() -> None:
    stage = Stage()
    async with asyncio.timeout(SIGNAL_SECONDS), stage.app.worker():
        await stage.warm_up()
        ended = asyncio.Event()
        stage.store.subscribe(lambda hint: ended.set() if hint == "done" else None)
        stage.gate.set()
        handle = await stage.app.start("flow")
        await ended.wait()
        assert await handle.result() == "done"


async def test_each_of_many_results_is_heard_of() -> None:
    stage = Stage()
    async with asyncio.timeout(SIGNAL_SECONDS), stage.app.worker():
        await stage.warm_up()
        results = [asyncio.create_task((await stage.app.start("flow")).result()) for _ in range(20)]
        stage.gate.set()
        assert await asyncio.gather(*results) == ["done"] * 20


async def test_store_without_hints_is_asked_again_and_again() -> None:
    stage = Stage()
    async with asyncio.timeout(SIGNAL_SECONDS), stage.app.worker():
        await stage.warm_up()
        stage.store.is_prompt = False
        result = asyncio.create_task((await stage.app.start("flow")).result())
        await stage.begun.wait()
        stage.gate.set()
        assert await result == "done"


async def test_question_that_was_cancelled_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """F22: by an operator, or by a time limit."""
    monkeypatch.setattr("stepwell.client.CHECK_EVERY", timedelta(milliseconds=10))
    stage = Stage()
    async with asyncio.timeout(SIGNAL_SECONDS), stage.app.worker():
        await stage.warm_up()
        stage.store.errors = [psycopg.errors.QueryCanceled("canceling statement due to user request")]
        result = asyncio.create_task((await stage.app.start("flow")).result())
        stage.gate.set()
        assert await result == "done"
    assert stage.store.errors == []


async def test_caller_whose_connection_for_hints_was_lost_asks_at_once(database_url: str, admin: Admin) -> None:
    """As after a restart, or when somebody has ended what was idle: the question connects again."""
    async with asyncio.timeout(SIGNAL_SECONDS), App(database_url) as caller:
        other = App(database_url)

        async def flow() -> str:
            return "done"

        caller.workflow(flow)
        other.workflow(flow)
        name = conninfo_to_dict(database_url)["dbname"]
        opened = admin.execute("select pid from pg_stat_activity where datname = %s", [name]).fetchall()
        async with other, other.worker():
            assert await (await caller.start("flow")).result() == "done"
            for (pid,) in opened:
                admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
            assert await (await caller.start("flow")).result() == "done"
