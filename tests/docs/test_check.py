"""The page on `stepwell check` knows its rules, and shows what it says."""

from __future__ import annotations

import re

from stepwell.lint.findings import HINTS, Rule
from tests.cli.conftest import run
from tests.docs.conftest import Shown
from tests.docs.pages import page

PAGE = page("docs/reference/check.md")
ROWS = dict(re.findall(r"^\| `(SW\d+)` \| (.+?) \|", PAGE.text, re.MULTILINE))


def test_every_rule_is_documented_and_no_other() -> None:
    assert set(ROWS) == set(Rule)


def test_hints_are_called_hints() -> None:
    assert {code for code, found in ROWS.items() if found.startswith("hint: ")} == HINTS


def test_example_has_the_findings_that_the_page_shows(shown: Shown) -> None:
    shown("careless")
    (findings,) = (block.text for block in PAGE.blocks if "findings" in block.marks)

    answer = run("check", "careless.py")

    assert (answer.stdout, answer.exit_code) == (findings, 1)
