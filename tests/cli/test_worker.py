"""`stepwell worker`: real processes that are stopped in every way there is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from stepwell import App, Execution
from tests.cli.conftest import Cli
from tests.cli.programs import Program

FLOWS = """
import logging, os
from stepwell import App, Step

app = App()

@app.workflow
async def gate(fifo: str, step: Step) -> str:
    first = await step.run("first", lambda: "kept")
    return first + await step.run("wait", wait, fifo)

@app.workflow
async def bill(step: Step) -> None:
    raise ValueError("no such customer\\n12:00:00 ERROR \\x1b[2J")

def wait(fifo: str) -> str:
    logging.getLogger("flows").warning("waiting")
    with open(fifo) as gate:
        return gate.read()
"""


@pytest.fixture
def place(folder: Path) -> Path:
    (folder / "flows.py").write_text(FLOWS)
    os.mkfifo(folder / "gate")
    return folder


def started(database_url: str, place: Path, workflow: str = "gate") -> str:
    given = {"fifo": str(place / "gate")} if workflow == "gate" else {}

    async def start() -> str:
        async with App(database_url) as app:
            return str((await app.start(workflow, given)).id)

    return asyncio.run(start())


def now(database_url: str, execution: str) -> Execution:
    async def get() -> Execution:
        async with App(database_url) as app:
            return await app.get(execution)

    return asyncio.run(get())


def open_gate(place: Path, text: str) -> None:
    (place / "gate").write_text(text)


def test_sigterm_lets_running_steps_end_and_exits_with_0(place: Path, database_url: str) -> None:
    """F100"""
    execution = started(database_url, place)
    with Program("worker", "flows.py", folder=place, database_url=database_url) as worker:
        assert "ready: workflows bill, gate; queues default; up to 500 executions at once" in worker.line("ready")
        worker.line("waiting")

        worker.signal(signal.SIGTERM)
        assert "stopping: running steps have 30 s to end; Ctrl-C again stops at once" in worker.line("stopping")
        open_gate(place, "!")

        assert worker.ends() == 0
        assert worker.rest()[-1].endswith("stepwell.worker: stopped")
    ending = now(database_url, execution)
    assert (ending.status, ending.result, ending.crashes) == ("completed", b'"kept!"', 0)


def test_a_step_that_outlasts_its_grace_is_handed_back_and_does_not_keep_the_process(
    place: Path, database_url: str
) -> None:
    execution = started(database_url, place)
    arguments = ("worker", "flows.py", "--grace", "0s")
    with Program(*arguments, folder=place, database_url=database_url) as worker:
        worker.line("waiting")

        worker.signal(signal.SIGTERM)

        assert worker.ends() == 0
        assert worker.rest()[-1].endswith("left behind: 1 thread(s) in which a step does not end")
    assert now(database_url, execution).status == "pending"


def test_the_second_ctrl_c_stops_on_the_spot_and_leaves_what_ran_to_its_lease(place: Path, database_url: str) -> None:
    execution = started(database_url, place)
    with Program("worker", "flows.py", folder=place, database_url=database_url) as worker:
        worker.line("waiting")
        worker.signal(signal.SIGINT)
        worker.line("stopping")

        worker.signal(signal.SIGINT)

        assert worker.ends() == 130
        assert "stopped on the spot" in worker.rest()[-1]
    assert now(database_url, execution).status == "running"


def test_it_is_taken_for_dead_after_the_lease_that_was_asked_for(place: Path, database_url: str) -> None:
    def lives() -> list[timedelta]:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("select expires_at - now() from stepwell.worker order by started_at")
            return [left for (left,) in rows]

    hour = Program("worker", "flows.py", "--lease", "1h", folder=place, database_url=database_url)
    usual = Program("worker", "flows.py", folder=place, database_url=database_url)
    with hour, usual:
        for worker in (hour, usual):
            worker.line("ready")
        longest, shortest = max(lives()), min(lives())

    assert timedelta(minutes=30) < longest <= timedelta(hours=1)
    assert shortest <= timedelta(seconds=4.5)


def test_a_supervisor_that_goes_away_stops_it(place: Path, database_url: str) -> None:
    arguments = ("worker", "flows.py", "--until-stdin-closes")
    with Program(*arguments, folder=place, database_url=database_url) as worker:
        worker.line("ready")
        assert worker.process.stdin is not None

        worker.process.stdin.close()

        assert worker.ends() == 0
        assert worker.rest()[-1].endswith("stepwell.worker: stopped")


def test_an_execution_that_fails_is_logged_and_its_message_passes_for_no_other_record(
    place: Path, database_url: str
) -> None:
    execution = started(database_url, place, "bill")
    with Program("worker", "flows.py", folder=place, database_url=database_url) as worker:
        first, second = worker.line("failed"), worker.line("12:00:00")

    assert first.endswith(
        f"WARNING stepwell.execution: execution {execution} of 'bill' failed: ValueError: no such customer"
    )
    assert second == r"    12:00:00 ERROR \x1b[2J"


def test_json_logs_are_one_object_per_line_those_of_the_flows_included(place: Path, database_url: str) -> None:
    started(database_url, place)
    arguments = ("worker", "flows.py", "--json", "--concurrency", "3", "--queue", "default", "--queue", "crm")
    with Program(*arguments, folder=place, database_url=database_url) as worker:
        ready, waiting = json.loads(worker.line("ready")), json.loads(worker.line("waiting"))

    assert set(ready) == {"time", "level", "logger", "message"}
    assert ready["message"] == "ready: workflows bill, gate; queues default, crm; up to 3 executions at once"
    assert (waiting["level"], waiting["logger"], waiting["message"]) == ("warning", "flows", "waiting")


def test_the_database_of_the_command_line_wins_over_the_code(place: Path, database_url: str) -> None:
    (place / "flows.py").write_text(FLOWS.replace("App()", "App('postgresql://nobody@127.0.0.1:1/none')"))
    arguments = ("worker", "flows.py", "--database", database_url)
    with Program(*arguments, folder=place, database_url=None) as worker:
        assert "ready" in worker.line("ready")


def test_flows_without_workflows_are_refused(cli: Cli, folder: Path) -> None:
    (folder / "nothing.py").write_text("from stepwell import App\napp = App()\n")

    answer = cli("worker", "nothing.py")

    assert answer.exit_code == 2
    assert answer.stderr == ("Error: this worker has no workflows; import the module that defines them first\n")


@pytest.mark.parametrize(
    "arguments", [["--concurrency", "0"], ["--grace", "soon"], ["--lease", "long"], ["--log-level", "loud"], []]
)
def test_wrong_usage_ends_with_2(cli_without_database: Cli, arguments: list[str]) -> None:
    answer = cli_without_database("worker", *(["flows.py"] if arguments else []), *arguments)

    assert answer.exit_code == 2
    assert "Usage: " in answer.stderr


def test_a_lease_of_nothing_is_refused(cli_without_database: Cli, place: Path) -> None:
    answer = cli_without_database("worker", "flows.py", "--lease", "0s")

    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error: lease")


def test_a_database_that_cannot_be_reached_ends_it_with_3(cli_without_database: Cli, place: Path) -> None:
    answer = cli_without_database("worker", "flows.py")

    assert answer.exit_code == 3
    assert answer.stderr.startswith("Error: the database cannot be reached: ")
