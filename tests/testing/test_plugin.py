"""The pytest plugin: its fixtures work in plain tests, with pytest-asyncio in both of its modes, and with anyio."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stepwell.testing import plugin
from tests.docs.pages import ROOT

FLOWS = """
from stepwell import App, Step
from stepwell.store.memory import MemoryStore

app = App("postgresql:///nowhere")
other = App("postgresql:///nowhere")

@app.workflow
async def weekly(number: int, step: Step) -> int:
    await step.sleep("rest", "7d")
    return await step.run("double", lambda: 2 * number)

@other.workflow
async def another(step: Step) -> str:
    return "another"
"""

PLAIN = """
from flows import app, weekly

def test_plain(stepwell_lab):
    stepwell_lab.fake("double", 5)
    assert app.sync.start(weekly, 4).result() == 5

def test_again(stepwell_lab):
    assert app.sync.list() == []
"""

ASYNC = """
from datetime import timedelta
from flows import app, weekly

{mark}
async def test_async(stepwell_lab):
    began = stepwell_lab.now
    stepwell_lab.fake("double", 5)
    handle = await app.start(weekly, 4)
    await stepwell_lab.crash()
    await stepwell_lab.advance("6d")
    assert stepwell_lab.now == began + timedelta(days=6)
    assert await handle.result() == 5

{mark}
async def test_that_does_nothing(stepwell_lab):
    pass

{mark}
async def test_that_begins_with_time(stepwell_lab):
    await stepwell_lab.advance("1d")
    assert await app.list() == []

def test_plain(stepwell_lab):
    assert app.sync.start(weekly, 4).result() == 8
"""

OWN_APP = """
import pytest
from flows import other, another

@pytest.fixture
def stepwell_app():
    return other

def test_other(stepwell_lab):
    assert other.sync.start(another).result() == "another"
"""


def run_pytest(folder: Path, test: str, *options: str, app: str = "flows:app") -> subprocess.CompletedProcess[str]:
    """Runs pytest in a project of a user's."""
    (folder / "flows.py").write_text(FLOWS)
    (folder / "test_flows.py").write_text(test)
    (folder / "pyproject.toml").write_text(f'[tool.pytest.ini_options]\nstepwell_app = "{app}"\n')
    env = {name: value for name, value in os.environ.items() if not name.startswith(("STEPWELL_", "PYTEST_"))}
    # by its module, and not also by its entry point: this tree's, whatever is installed
    loaded = ["-p", "no:stepwell", "-p", plugin.__name__, "-p", "no:cacheprovider"]
    loaded += ["-W", "error", "-W", "ignore::pytest.PytestDeprecationWarning"]
    command = [sys.executable, "-m", "pytest", "-q", *loaded, *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("test", "options", "passed"),
    [
        (PLAIN, ["-p", "no:asyncio", "-p", "no:anyio"], 2),
        (ASYNC.format(mark=""), ["-p", "no:anyio", "-o", "asyncio_mode=auto"], 4),
        (ASYNC.format(mark="@__import__('pytest').mark.asyncio"), ["-o", "asyncio_mode=strict"], 4),
        (ASYNC.format(mark="@__import__('pytest').mark.anyio"), ["-o", "asyncio_mode=strict"], 4),
        (OWN_APP, [], 1),
    ],
    ids=["plain", "asyncio-auto", "asyncio-strict", "anyio", "own-app"],
)
def test_fixtures_work_with_whatever_runs_the_tests(tmp_path: Path, test: str, options: list[str], passed: int) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )

    done = run_pytest(tmp_path, test, *options)

    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr


def test_app_that_nobody_named_is_told(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, PLAIN, app="")

    assert 'Put stepwell_app = "flows:app" into' in done.stdout


def test_pytest_finds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"stepwell": plugin.__name__}
