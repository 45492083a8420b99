"""`stepwell dev`: real processes whose files are saved, broken, mended; workers that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psycopg
import pytest

from stepwell import App
from stepwell.cli.reload import Next, after_exit
from tests.cli.conftest import Cli
from tests.cli.programs import Program

FLOWS = """
from stepwell import App, Step

app = App()

@app.workflow
async def hello(step: Step) -> str:
    return await step.run("greet", greet)

def greet() -> str:
    return "{greeting}"
"""


def save(folder: Path, greeting: str) -> None:
    (folder / "flows.py").write_text(FLOWS.replace("{greeting}", greeting))


def break_(folder: Path) -> None:
    (folder / "flows.py").write_text("def f(:\n")


def result(database_url: str) -> object:
    async def start() -> object:
        async with App(database_url) as app:
            return await (await app.start("hello")).result(timeout="30s")

    return asyncio.run(start())


def worker_pid(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select name from stepwell.workers where is_alive").fetchone()
    assert row is not None
    return int(row[0].rpartition(":")[2])


def test_a_save_brings_the_new_code_and_a_broken_one_is_mended_by_the_next(folder: Path, database_url: str) -> None:
    save(folder, "one")
    with Program("dev", "flows.py", folder=folder, database_url=database_url) as dev:
        assert f"watching {folder}; Ctrl-C stops" in dev.line("watching")
        dev.line("ready: workflows hello")
        assert result(database_url) == "one"

        save(folder, "two")
        assert "flows.py changed; starting again" in dev.line("changed")
        dev.line("stopped")
        dev.line("ready")
        assert result(database_url) == "two"

        break_(folder)
        assert dev.line("Error: ") == "Error: flows.py, line 1: SyntaxError: invalid syntax"
        assert "no worker is running; the next save starts one" in dev.line("no worker")

        save(folder, "three")
        dev.line("ready")
        assert result(database_url) == "three"

        dev.signal(signal.SIGTERM)
        assert dev.ends() == 0
        assert "stopped" in dev.rest()[-1]


def test_code_that_is_broken_at_the_start_is_mended_by_a_save(folder: Path, database_url: str) -> None:
    break_(folder)
    with Program("dev", "flows.py", folder=folder, database_url=database_url) as dev:
        dev.line("no worker is running")

        save(folder, "mended")

        dev.line("ready")
        dev.signal(signal.SIGINT)
        assert dev.ends() == 0


def test_a_worker_that_was_killed_is_replaced(folder: Path, database_url: str) -> None:
    save(folder, "one")
    with Program("dev", "flows.py", folder=folder, database_url=database_url) as dev:
        dev.line("ready")

        os.kill(worker_pid(database_url), signal.SIGKILL)

        assert "the worker was killed (SIGKILL); starting another" in dev.line("killed")
        dev.line("ready")
        assert result(database_url) == "one"


def test_the_worker_ends_with_the_process_that_watches(folder: Path, database_url: str) -> None:
    save(folder, "one")
    with Program("dev", "flows.py", folder=folder, database_url=database_url) as dev:
        dev.line("ready")

        dev.signal(signal.SIGKILL)

        assert dev.rest()[-1].endswith("stepwell.worker: stopped")  # its output ends with the worker's


def test_without_a_url_it_runs_on_an_embedded_database(folder: Path) -> None:
    save(folder, "embedded")
    with Program("dev", "flows.py", folder=folder, database_url=None) as dev:
        dev.line("ready")
        with Program("start", "hello", "--watch", folder=folder, database_url=None) as start:
            assert start.ends() == 0
            assert start.rest()[-1] == '"embedded"'
        dev.signal(signal.SIGINT)
        assert dev.ends() == 0


@pytest.mark.parametrize(
    ("code", "then"), [(2, Next.WAIT_FOR_A_SAVE), (-9, Next.START), (-15, Next.START), (3, Next.END), (0, Next.END)]
)
def test_what_follows_the_end_of_a_worker_depends_on_how_it_ended(code: int, then: Next) -> None:
    assert after_exit(code) is then


def test_a_database_that_cannot_be_reached_ends_it_with_3(folder: Path) -> None:
    save(folder, "one")
    url = "postgresql://nobody@127.0.0.1:1/none"
    with Program("dev", "flows.py", folder=folder, database_url=url) as dev:
        assert dev.line("Error: ").startswith("Error: the database cannot be reached: ")
        assert dev.ends() == 3


def test_a_file_that_is_not_there_is_wrong_usage(cli_without_database: Cli) -> None:
    answer = cli_without_database("dev", "no.py")

    assert answer.exit_code == 2
    assert "there is no file 'no.py'; `stepwell init DIR` writes one to begin with" in answer.stderr


def test_the_second_ctrl_c_kills_the_worker_and_ends_with_130(folder: Path, database_url: str) -> None:
    os.mkfifo(folder / "gate")
    blocking = 'print("waiting", flush=True) or open("gate").read()'
    (folder / "flows.py").write_text(FLOWS.replace('"{greeting}"', blocking))
    with Program("dev", "flows.py", folder=folder, database_url=database_url) as dev:
        dev.line("ready")
        asyncio.run(start(database_url))
        dev.line("waiting")
        dev.signal(signal.SIGINT)
        dev.line("stopping")

        dev.signal(signal.SIGINT)

        assert dev.ends() == 130


async def start(database_url: str) -> None:
    async with App(database_url) as app:
        await app.start("hello")
