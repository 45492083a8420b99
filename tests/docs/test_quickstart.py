"""A newcomer who types what the quickstart and the README say sees what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from tests.docs.pages import Block, page

QUICKSTART, README = page("docs/quickstart.md"), page("README.md")
SECONDS = 100

USER = "from stepwell import App; app = App(); app.sync.list(); print('up', flush=True); input()"
# The sleep is long enough for two commands on a busy machine: one that sees it, and one after the kill.
LONGER_SLEEP = """sed -i.bak 's/"3s"/"12s"/' flows.py\n"""
UNTIL_IT_SLEEPS = """python -c "
from stepwell import App
sync = App().sync
while not any('pause' in (execution.why or '') for execution in sync.list()): pass
"
"""

VARYING = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "ID",
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)": "TIME",
    r"(?m)^waits .*\n": "",  # whether a short wait is seen depends on when one looks
}


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """The environment of a terminal in which nothing is set but the path to what pip installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "PIP_NO_INDEX": "1"}


def as_script(blocks: list[Block]) -> str:
    """The shell blocks, each announced. The worker's terminal is closed before another worker is started."""
    parts = ["exec 2>&1", "set -e", "trap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT"]  # nothing is left running
    for number, block in enumerate(blocks):
        parts.append(f"echo '--- block {number}'")
        if block.mark("terminal"):
            parts.append(f"({block.text.strip()}) > dev.log 2>&1 & terminal=$!")
        elif " &\n" in block.text:
            parts.append('test -z "$terminal" || { kill $terminal; wait $terminal; terminal=; }')
            parts.append(LONGER_SLEEP)
            parts.append(block.text.replace(" &\n", " > worker.log 2>&1 &\n").replace("sleep 3\n", UNTIL_IT_SLEEPS))
        else:
            parts.append(block.text)
    return "\n".join(parts)


def in_general(text: str) -> str:
    """The text without ids, times, and widths of columns."""
    for pattern, word in VARYING.items():
        text = re.sub(pattern, word, text)
    return re.sub(r" +", " ", text).strip()


def test_quickstart_does_what_it_says(newcomer: dict[str, str], tmp_path: Path) -> None:
    blocks = QUICKSTART.blocks_of("sh")
    watching = next(number for number, block in enumerate(blocks) if "Ada" in block.text)
    (expected,) = [block.text for block in QUICKSTART.blocks_of("text") if "output" in block.marks]

    done = subprocess.run(
        ["bash", "-c", as_script(blocks)],
        cwd=tmp_path, env=newcomer, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    said = re.split(r"--- block \d+\n", done.stdout)[1:]

    assert done.returncode == 0, done.stdout
    assert in_general(said[watching]) == in_general(expected)
    assert "timer 'pause' until" in said[watching + 1]
    assert said[watching + 2].rstrip().endswith('"Hello, Grace!"')
    assert said[watching + 2].count("completed       fetch-greeting") == 1


def test_project_of_the_quickstart_is_that_of_the_command() -> None:
    template = files("stepwell.cli").joinpath("project", "flows.py.template").read_text()

    assert QUICKSTART.files["flows.py"].text == template


def test_readme_begins_as_the_quickstart_does() -> None:
    typed = [line for block in README.blocks_of("sh") for line in block.commands]

    assert typed == [line for block in QUICKSTART.blocks_of("sh") for line in block.commands][: len(typed)]


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Runs the README's program with another time in place of 24 hours."""

    def run(pause: str) -> subprocess.Popen[str]:
        text = README.files["fulfil.py"].text
        assert '"24h"' in text
        (tmp_path / "fulfil.py").write_text(text.replace('"24h"', f'"{pause}"'))
        environment = os.environ | {"STEPWELL_DATABASE_URL": database_url}
        command = [sys.executable, "fulfil.py"]
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return run


def test_program_of_the_readme_can_be_killed_and_run_again(
    program: Callable[[str], subprocess.Popen[str]], database_url: str
) -> None:
    with program("3s") as killed, psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute("select from stepwell.executions where why like 'timer%'").fetchone() is None:
            assert killed.poll() is None
        killed.kill()
        before = connection.execute("select step, recorded_at from stepwell.steps order by step").fetchall()

        said, errors = program("3s").communicate(timeout=SECONDS)
        after = connection.execute("select step, recorded_at from stepwell.steps order by step").fetchall()

    assert errors == ""
    assert re.fullmatch(r"A-7: paid 49\.90 with key [0-9a-f]{32}, left at the door\n", said)
    assert [step for step, _ in before] == ["charge", "cooling-off", "fetch"]
    assert set(before) <= set(after)


def test_embedded_database_can_be_looked_into_where_the_operations_page_says(
    newcomer: dict[str, str], tmp_path: Path
) -> None:
    assert 'psql -h "$PWD/.stepwell/data" stepwell stepwell' in page("docs/operations.md").text
    with subprocess.Popen(
        [sys.executable, "-c", USER],
        cwd=tmp_path, env=newcomer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as user:  # fmt: skip
        assert user.stdout is not None
        assert user.stdout.readline() == "up\n"
        with psycopg.connect(host=str(tmp_path / ".stepwell/data"), dbname="stepwell", user="stepwell") as connection:
            assert connection.execute("select count(*) from stepwell.executions").fetchone() == (0,)
        user.communicate("\n", timeout=SECONDS)
