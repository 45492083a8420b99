"""The page on webhook sources shows the table that there is."""

from __future__ import annotations

import re

import pytest

from stepwell.sources import SOURCES, Source
from tests.docs.pages import page

PAGE = page("docs/reference/webhook-sources.md")
MIB = 1024 * 1024


def rows(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading, without those of its head."""
    lines = [line for line in PAGE.section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("heading", ["## What each source is known by", "## How vendors behave"])
def test_every_source_has_its_row_and_no_other(heading: str) -> None:
    assert [row[0] for row in rows(heading)] == [f"`{name}`" for name in SOURCES]


def test_every_source_has_a_secret_described() -> None:
    assert set(re.findall(r"`([a-z-]+)`", " ".join(row[0] for row in rows("## Secrets")))) == set(SOURCES)


def test_every_setting_is_described_and_no_other() -> None:
    described = {(row[0].strip("`"), name) for row in rows("## Settings") for name in re.findall(r"`(\w+)`", row[1])}

    assert described == {(source.name, setting.name) for source in SOURCES.values() for setting in source.settings}


def test_every_handshake_is_described() -> None:
    assert [row[0] for row in rows("## Handshakes")] == [f"`{s.name}`" for s in SOURCES.values() if s.handshake]


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_figures_of_a_vendor_are_those_of_the_table(source: Source) -> None:
    row = next(row for row in rows("## How vendors behave") if row[0] == f"`{source.name}`")
    stated = re.fullmatch(r"(\d+) s", row[1])
    times = re.match(r"(\d+) times", row[2])

    assert (stated is not None) == (source.answer_within is not None)
    assert stated is None or float(stated[1]) == source.answer_within.total_seconds()  # type: ignore[union-attr]
    assert times is None or int(times[1]) == len(source.retries.delays)
    assert (row[2].startswith("never")) == (not source.retries.delays)
    assert row[4].strip(" |") == f"{source.max_body_bytes // MIB} MiB"
