"""What people and programs get to see, on terminals and elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from datetime import timedelta
from pathlib import Path

import pytest

from stepwell.cli import output
from stepwell.cli.output import Cell
from stepwell.cli.shown import length
from tests.cli.sample import ended

HOSTILE = "a\x1b[2J\n\x9b31m\u202e\u2028\x00\ud800 [red]x[/red] é 😀"


def test_what_a_terminal_would_obey_is_shown_and_not_sent() -> None:
    assert output.clean(HOSTILE) == r"a\x1b[2J\n\x9b31m\u202e\u2028\x00\ud800 [red]x[/red] é 😀"


def test_json_for_programs_holds_nothing_that_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": HOSTILE.replace("\ud800", "")}

    output.show_json(value)

    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Zl")} == {"\n"}


def test_a_json_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json_line({"text": "one\ntwo\u2028three"})

    assert capsys.readouterr().out == '{"text":"one\\ntwo\\u2028three"}\n'


def test_a_table_elsewhere_than_on_a_terminal_is_plain_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(["ID", "STATUS", "WHY"], [["1", Cell("failed", "red"), "a\nb"], ["22", "ok", ""]])

    assert capsys.readouterr().out == "ID  STATUS  WHY\n1   failed  a\\nb\n22  ok\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (86_399, "23 h"), (10**7, "115 d")],
)
def test_an_age_is_given_in_its_largest_unit(seconds: float, shown: str) -> None:
    assert length(timedelta(seconds=seconds)) == shown


def on_a_terminal(*arguments: str, database_url: str, **environment: str) -> str:
    """What `stepwell` writes to a terminal of 400 columns."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "STEPWELL_DATABASE_URL": database_url, "COLUMNS": "400", "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "stepwell", *arguments]
    with subprocess.Popen(command, stdout=theirs, env=env | environment):
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so at the end
        return b""


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("command", ["list", "show"])
def test_a_terminal_gets_colours_and_the_same_facts_unless_no_color_is_set(
    database_url: str, tmp_path: Path, command: str
) -> None:
    execution = ended(database_url, "refused")
    arguments = ["executions", command, *([execution] if command == "show" else [])]

    coloured = on_a_terminal(*arguments, database_url=database_url)
    plain = on_a_terminal(*arguments, database_url=database_url, NO_COLOR="1")

    assert "\x1b[31mfailed" in coloured
    assert "\x1b[31m" not in plain
    for shown in (coloured, plain):
        assert execution in without_styles(shown)
        assert r"no such customer: [red]Ada[/red] \x1b[31m" in without_styles(shown)
