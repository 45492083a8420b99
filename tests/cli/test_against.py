"""`stepwell check --against` tells which executions in flight the code would not carry on, and changes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stepwell import App, Handle, Permanent, Retry, Step
from stepwell.app.follow import Waits, follow
from stepwell.core.model import ExecutionId
from tests.cli.conftest import Cli

HEAD = """\
from stepwell import App, Step
app = App()
def never(*_: object) -> int: raise AssertionError("no step runs here")
"""
BEFORE = f"""{HEAD}
@app.workflow(id="order")
async def order(n: int, step: Step) -> None:
    await step.run("pay", never, n)
    await step.map("each", never, [1, 2, 3])
    await step.sleep("rest", "90d")
"""


def same(number: int) -> int:
    return number


def flaky() -> None:
    raise ConnectionError("the service is down")


def app_of_before(database_url: str) -> App:
    """The code under which the executions were begun."""
    app = App(database_url)

    @app.workflow
    async def order(n: int, step: Step) -> None:
        await step.run("pay", same, n)
        await step.map("each", same, [1, 2, 3])
        await step.sleep("rest", "90d")

    @app.workflow
    async def failing(step: Step) -> None:
        await step(retry=Retry(first_delay="1h")).run("call", flaky)

    @app.workflow
    async def buyer(step: Step) -> None:
        await step.call("buy", "order", 7)

    @app.workflow
    async def asking(step: Step) -> None:
        await step.first("answer", yes=step.event("approved"), no=step.event("rejected", key="7"))

    @app.workflow
    async def refused(step: Step) -> None:
        raise Permanent("no")

    return app


async def begun(database_url: str, workflow: str, *inputs: Any, until: str) -> str:
    """The id of an execution that has gone as far as it goes today: it has ended, or waits for such a thing."""
    async with app_of_before(database_url) as app, app.worker():
        handle: Handle[Any] = await app.start(workflow, *inputs)
        async for news in follow(await app.open(), ExecutionId(handle.id)):
            if isinstance(news, Waits) and news.why.startswith(until):
                break
        return str(handle.id)


@pytest.fixture
def in_flight(database_url: str) -> str:
    """The id of an execution of `order` that sleeps."""
    return asyncio.run(begun(database_url, "order", 7, until="timer"))


def check(cli: Cli, database_url: str, code: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the document."""
    Path("flows_now.py").write_text(code)
    answer = cli("check", "flows_now.py", "--against", database_url, "--json", *options)
    return answer.exit_code, json.loads(answer.stdout)


def only(document: dict[str, Any]) -> dict[str, Any]:
    (verdict,) = document["verdicts"]
    found: dict[str, Any] = verdict
    return found


def test_fork_is_tried_with_the_random_numbers_of_the_first_one(cli: Cli, database_url: str) -> None:
    """They are arguments of a stored step."""

    async def forked() -> None:
        app = App(database_url)

        @app.workflow(id="order")
        async def order(step: Step) -> None:
            await step.run("pay", same, round(1e9 * step.random()))
            await step.sleep("rest", "90d")

        async with app, app.worker():
            handle = await app.start(order)
            for id in (handle.id, (await app.fork(handle.id)).id):
                async for news in follow(await app.open(), ExecutionId(id)):
                    if isinstance(news, Waits) and news.why.startswith("timer"):
                        break

    asyncio.run(forked())
    code = f"""{HEAD}
@app.workflow(id="order")
async def order(step: Step) -> None:
    await step.run("pay", never, round(1e9 * step.random()))
    await step.sleep("rest", "90d")
"""

    assert check(cli, database_url, code)[1]["verdicts"] == []


def test_code_that_fits_has_nothing_said_of_it(cli: Cli, database_url: str, in_flight: str) -> None:
    code, document = check(cli, database_url, BEFORE)

    assert (code, document["ok"], document["executions"], document["verdicts"]) == (0, True, 1, [])


@pytest.mark.parametrize(
    ("before", "after", "step", "line"),
    [
        ('"pay", never, n', '"pay", never, n + 1', "pay", 7),
        ("[1, 2, 3]", "[1, 2, 4]", "each", 8),
        ('"rest", "90d"', '"rest", "80d"', "rest", 9),
        ('step.run("pay", never, n)', 'step.sleep("pay", "1h")', "pay", 7),
        ("n: int", "n: list[str]", "input", 5),
    ],
)
def test_execution_that_would_be_parked_is_told_with_its_step_and_line(
    cli: Cli, database_url: str, in_flight: str, before: str, after: str, step: str, line: int
) -> None:
    code, document = check(cli, database_url, BEFORE.replace(before, after))
    verdict = only(document)

    assert (code, document["ok"]) == (1, False)
    assert (verdict["execution"], verdict["workflow"], verdict["fault"]) == (in_flight, "order", "diverges")
    assert (verdict["step"].partition("/")[0], verdict["file"], verdict["line"]) == (step, "flows_now.py", line)


def test_workflow_that_is_gone_is_told(cli: Cli, database_url: str, in_flight: str) -> None:
    code, document = check(cli, database_url, BEFORE.replace('id="order"', 'id="purchase"'))

    assert (code, only(document)["fault"]) == (1, "missing")


def test_function_that_would_fail_at_once_is_told(cli: Cli, database_url: str, in_flight: str) -> None:
    code, document = check(cli, database_url, BEFORE.replace("    await step.sleep", "    raise LookupError  #"))

    assert (code, only(document)["fault"], only(document)["message"]) == (1, "fails", "it would fail: LookupError: ")


def test_step_that_is_left_aside_is_a_warning(cli: Cli, database_url: str, in_flight: str) -> None:
    code, document = check(cli, database_url, BEFORE.replace('    await step.run("pay", never, n)\n', ""))
    verdict = only(document)

    assert (code, document["ok"]) == (0, True)
    assert (verdict["fault"], verdict["step"], verdict["is_warning"]) == ("unreached", "pay", True)


def test_workflows_that_are_not_asked_for_are_not_looked_at(cli: Cli, database_url: str, in_flight: str) -> None:
    gone = BEFORE.replace('id="order"', 'id="purchase"')

    code, document = check(cli, database_url, gone, "--workflow", "purchase")

    assert (code, document["executions"]) == (0, 0)


def test_execution_that_waits_for_a_retry_is_replayed_too(cli: Cli, database_url: str) -> None:
    asyncio.run(begun(database_url, "failing", until="step 'call'"))
    body = "async def failing(step: Step) -> None:\n    await step.run('ask', never)\n"

    verdict = only(check(cli, database_url, f"{HEAD}@app.workflow\n{body}")[1])

    assert (verdict["fault"], verdict["step"], verdict["line"]) == ("unreached", "call", 6)


def test_child_under_way_that_would_be_called_otherwise_is_told(cli: Cli, database_url: str) -> None:
    parent = asyncio.run(begun(database_url, "buyer", until="child 'buy'"))
    body = "async def buyer(step: Step) -> None:\n    await step.call('buy', 'order', 8)\n"

    verdict = only(check(cli, database_url, f"{BEFORE}@app.workflow\n{body}", "--workflow", "buyer")[1])

    assert (verdict["execution"], verdict["fault"], verdict["step"]) == (parent, "diverges", "buy")


@pytest.mark.parametrize(
    ("no", "fault"), [('"rejected", key="7"', None), ('"rejected", key="8"', "diverges"), ('"refused"', "diverges")]
)
def test_wait_under_way_for_an_event_that_the_code_no_longer_waits_for_is_told(
    cli: Cli, database_url: str, no: str, fault: str | None
) -> None:
    asyncio.run(begun(database_url, "asking", until="the first of"))
    call = f"await step.first('answer', yes=step.event('approved'), no=step.event({no}))"
    code = f"{BEFORE}@app.workflow\nasync def asking(step: Step) -> None:\n    {call}\n"

    verdicts = check(cli, database_url, code, "--workflow", "asking")[1]["verdicts"]

    assert [(one["fault"], one["step"], one["line"]) for one in verdicts] == ([(fault, "answer", 12)] if fault else [])


def test_execution_that_has_ended_is_not_looked_at(cli: Cli, database_url: str) -> None:
    asyncio.run(begun(database_url, "refused", until="never"))

    assert check(cli, database_url, BEFORE)[1]["executions"] == 0


def test_nothing_is_written(cli: Cli, database_url: str, in_flight: str) -> None:
    before = contents(database_url)

    check(cli, database_url, BEFORE.replace('"pay"', '"other"'))

    assert contents(database_url) == before


def contents(database_url: str) -> list[Any]:
    """All rows, with the transactions that wrote them."""
    tables = ("worker", "execution", "checkpoint", "attempt", "migration")
    with psycopg.connect(database_url) as connection:
        statements = (f"select ctid::text, xmin::text, t::text from stepwell.{table} t" for table in tables)
        return [connection.execute(statement.encode()).fetchall() for statement in statements]


def test_people_get_a_row_for_each_and_a_count(cli: Cli, database_url: str, in_flight: str) -> None:
    Path("flows_now.py").write_text(BEFORE.replace("never, n)", "never, n + 1)"))

    answer = cli("check", "flows_now.py", "--against", database_url)
    header, row = answer.stdout.splitlines()

    assert header.split() == ["EXECUTION", "WORKFLOW", "FAULT", "STEP", "LINE", "WHY"]
    assert row.split()[:5] == [in_flight, "order", "diverges", "pay", "flows_now.py:7"]
    assert answer.stderr.splitlines() == [
        "1 workflow: 0 findings, 0 hints",
        "1 execution in flight: 1 would not go on, 0 warnings",
    ]


def test_database_that_cannot_be_reached_ends_with_three(cli: Cli, folder: Path) -> None:
    Path("flows_now.py").write_text(BEFORE)

    answer = cli("check", "flows_now.py", "--against", "postgresql://nobody@127.0.0.1:1/none")

    assert (answer.exit_code, answer.stdout) == (3, "")
