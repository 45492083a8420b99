"""Each promise names tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, page

GUARANTEES = page("docs/guarantees.md")
PROMISES = re.findall(r"^### (\d\. .+)$", GUARANTEES.text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/.:]+)`", GUARANTEES.text))))
def test_test_that_is_named_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""

    assert (ROOT / path).exists()
    assert not test or re.search(rf"^(async )?def {test}\(", text, re.MULTILINE)


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_test_that_tries_to_break_it(promise: str) -> None:
    assert "::test_" in GUARANTEES.section(f"### {promise}")


def test_readme_promises_what_the_page_promises() -> None:
    in_readme = re.findall(r"^- \*\*(.+?)\*\*", page("README.md").section("## What it promises"), re.MULTILINE)

    assert len(in_readme) == len(PROMISES)
