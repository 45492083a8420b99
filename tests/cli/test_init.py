"""`stepwell init`: what it writes works, survives kill -9, and overwrites nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.cli.init import NAMES
from tests.cli.conftest import Cli
from tests.cli.programs import Program


@pytest.fixture
def project(cli: Cli, folder: Path) -> Path:
    assert cli("init", "hello").exit_code == 0
    return folder / "hello"


def test_it_writes_a_project_and_says_what_to_do_next(cli: Cli, folder: Path) -> None:
    answer = cli("init", "my project")

    assert answer.exit_code == 0
    assert sorted(os.listdir(folder / "my project")) == sorted(NAMES)
    assert answer.stdout.splitlines()[-2:] == [
        "  cd 'my project' && stepwell dev flows.py",
        """  cd 'my project' && stepwell start hello --input '{"name": "Ada"}' --watch""",
    ]


def test_in_the_current_folder_there_is_nowhere_to_go(cli: Cli) -> None:
    answer = json.loads(cli("init", ".", "--json").stdout)

    assert answer["files"] == list(NAMES)
    assert answer["next"][0] == "stepwell dev flows.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_written(cli: Cli, folder: Path, name: str) -> None:
    (folder / "hello").mkdir()
    (folder / "hello" / name).symlink_to("nowhere")

    answer = cli("init", "hello")

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == f"Error: hello has {name} already, nothing was written; choose another folder\n"
    assert os.listdir(folder / "hello") == [name]


def test_a_file_in_the_place_of_the_folder_is_told(cli: Cli, folder: Path) -> None:
    (folder / "hello").write_text("")

    assert cli("init", "hello").exit_code == 2
    below = cli("init", "hello/there")
    assert below.exit_code == 2
    assert below.stderr == "Error: cannot write to hello/there: Not a directory; choose another folder\n"


def test_its_workflow_survives_kill_9_in_the_middle(project: Path, cli: Cli, database_url: str) -> None:
    arguments = ("start", "hello", "--input", '{"name": "Ada"}', "--watch")
    with Program("worker", "flows.py", folder=project, database_url=database_url) as first:
        first.line("ready")
        with Program(*arguments, folder=project, database_url=database_url) as start:
            execution = start.line("started").split()[-1]
            start.line("completed       fetch-greeting (attempt 2)")
            start.line("timer set       pause  until ")

            first.signal(signal.SIGKILL)
            assert first.ends() == -signal.SIGKILL
            with Program("worker", "flows.py", folder=project, database_url=database_url) as second:
                second.line("ready")

                assert start.ends() == 0
                assert start.rest()[-1] == '"Hello, Ada!"'
    steps = json.loads(cli("executions", "show", execution, "--json").stdout)["steps"]
    assert [(step["step"], step["attempt"]) for step in steps] == [
        *(("fetch-greeting", 1), ("fetch-greeting", 2)),
        *(("pause", 1), ("compose", 1)),
    ]


def test_its_own_test_passes_without_a_database(project: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("STEPWELL_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]

    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "1 passed"), done.stdout + done.stderr
    assert sorted(set(os.listdir(project)) - {"__pycache__"}) == sorted(NAMES)


def test_its_code_keeps_to_our_own_rules(project: Path) -> None:
    for rules in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *rules, "--line-length", "120", "--isolated", "--no-cache", project],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_its_readme_has_fifteen_lines(project: Path) -> None:
    assert len((project / "README.md").read_text().splitlines()) == 15
