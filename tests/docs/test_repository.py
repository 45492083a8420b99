"""What the repository says about itself is true: commands, links, decision records."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("bench/*.md")]
)


def listed_targets() -> set[str]:
    listing = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^make ([a-z-]+) +\S", listing, re.MULTILINE))


def test_make_alone_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert phony is not None
    assert listed_targets() == set(phony[1].split())


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / ".ci" / "run"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_make_command_in_a_document_exists(path: Path) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)`?", path.read_text(), re.MULTILINE))

    assert named <= listed_targets()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_decision_record_is_in_the_index_once() -> None:
    records = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    index = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (DECISIONS / "README.md").read_text())

    assert index == records
    assert len({name[:4] for name in records}) == len(records)


def test_every_dependency_has_a_decision_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    names = {re.split(r"[\[<>=;~ ]", requirement)[0] for requirement in requirements}
    records = "\n".join(path.read_text() for path in DECISIONS.glob("[0-9]*.md"))

    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", records, re.IGNORECASE)} == set()
