"""`stepwell check` tells where, with an exit code for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

HEAD = "from stepwell import App, Step\napp = App()\n"


@pytest.fixture
def check(cli_without_database: Cli) -> Cli:
    """`stepwell check ...`, which needs no database."""
    return lambda *arguments: cli_without_database("check", *arguments)


def test_code_without_fault_is_counted_and_ends_with_zero(check: Cli, folder: Path) -> None:
    (folder / "good.py").write_text(f"{HEAD}@app.workflow\nasync def pay(step: Step) -> None: ...\n")

    answer = check("good.py")

    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "", "1 workflow: 0 findings, 0 hints\n")


def test_fault_is_one_line_with_its_place_and_ends_with_one(check: Cli, folder: Path) -> None:
    (folder / "faulty.py").write_text(
        f"import time\n{HEAD}@app.workflow\nasync def pay(step: Step) -> None:\n    time.sleep(1)\n"
    )

    answer = check("faulty.py")
    lines = answer.stdout.splitlines()
    document = json.loads(check("faulty.py", "--json").stdout)

    assert answer.exit_code == 1
    assert len(lines) == 1
    assert lines[0].startswith("faulty.py:6:5: SW105 time.sleep ")
    assert (document["ok"], document["workflows"]) == (False, ["pay"])
    assert document["findings"] == [
        {
            "file": "faulty.py",
            "line": 6,
            "column": 5,
            "code": "SW105",
            "message": lines[0].partition("SW105 ")[2],
            "is_hint": False,
        }
    ]


def test_hint_is_told_and_ends_with_zero(check: Cli, folder: Path) -> None:
    (folder / "loose.py").write_text(
        f"{HEAD}def look(): return 1\n"
        "@app.workflow\nasync def pay(step: Step) -> None:\n    await step.run('a', look)\n"
    )

    answer = check("loose.py")

    assert answer.exit_code == 0
    assert answer.stdout.startswith("loose.py:3:1: SW202 hint: look ")
    assert answer.stderr == "1 workflow: 0 findings, 1 hint\n"


def test_what_cannot_be_stored_is_found_in_steps_and_workflows(check: Cli, folder: Path) -> None:
    (folder / "odd.py").write_text(
        f"from pathlib import Path\nfrom collections.abc import Iterator\n{HEAD}"
        "class Odd: ...\n"
        "def numbers() -> Iterator[int]: ...\n"
        "def both() -> 'list[int] | tuple[int, ...]': ...\n"
        "def nowhere() -> 'Nowhere': ...\n"
        "def fine() -> dict[str, list[int]]: ...\n"
        "@app.workflow\n"
        "async def pay(step: Step) -> list[Odd]:\n"
        "    await step.run('a', numbers), await step.run('b', both), await step.run('c', nowhere)\n"
        "    await step.run('d', fine)\n"
    )

    answer = check("odd.py")

    assert [line.split()[:2] for line in answer.stdout.splitlines()] == [
        ["odd.py:6:1:", "SW201"],
        ["odd.py:7:1:", "SW201"],
        ["odd.py:8:1:", "SW201"],
        ["odd.py:11:1:", "SW201"],
    ]
    assert "Iterator has no JSON form; use a dataclass" in answer.stdout


def test_modules_beside_flows_are_followed_and_installed_ones_are_not(check: Cli, folder: Path) -> None:
    (folder / "clock_of_ours.py").write_text("import time\ndef stamp() -> float:\n    return time.time()\n")
    (folder / "site-packages").mkdir()
    (folder / "site-packages" / "clock_of_theirs.py").write_text(
        "import time\ndef stamp() -> float:\n    return time.time()\n"
    )
    (folder / "two.py").write_text(
        f"import sys\nsys.path.append('site-packages')\nimport clock_of_ours, clock_of_theirs\n{HEAD}"
        "@app.workflow\nasync def pay(step: Step) -> None:\n    clock_of_ours.stamp(), clock_of_theirs.stamp()\n"
    )

    lines = check("two.py").stdout.splitlines()

    assert [line.split(":")[0] for line in lines] == ["clock_of_ours.py"]


def test_workflow_whose_source_is_not_there_is_named(check: Cli, folder: Path) -> None:
    (folder / "made.py").write_text(f"{HEAD}exec('async def pay(step: Step) -> None: ...')\napp.workflow(pay)\n")

    assert check("made.py").stderr.startswith("not checked: the source of workflow 'pay' is not found\n")


@pytest.mark.parametrize("options", [("--against", ""), ("--against", " "), ("--workflow", "pay")])
def test_options_that_make_no_sense_are_wrong_usage(check: Cli, folder: Path, options: tuple[str, str]) -> None:
    (folder / "good.py").write_text(HEAD)

    answer = check("good.py", *options)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert options[0] in answer.stderr


def test_flows_that_cannot_be_loaded_are_wrong_usage(check: Cli, folder: Path) -> None:
    (folder / "broken.py").write_text("def (:\n")

    answer = check("broken.py")

    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error: broken.py, line 1: SyntaxError")
