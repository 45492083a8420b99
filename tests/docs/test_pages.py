"""Every page can be found, says at its beginning what it is good for, and leads nowhere that is not."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS, ROOT, USER_PAGES, Page, page

OVERVIEWS = {"README.md"}
LANGUAGES = {"python", "sh", "sql", "text", "json", "toml"}
LINKED_PAGES = [*USER_PAGES, page("ARCHITECTURE.md"), page("CONTRIBUTING.md"), page("CHANGELOG.md")]

named = pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: page.name)


def anchors(text: str) -> set[str]:
    """The anchors that headings get: as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@named
def test_page_begins_with_what_its_reader_will_be_able_to_do(page: Page) -> None:
    title, _, start = page.text.partition("\n\n")

    assert re.fullmatch("# .+", title)
    assert page.name in OVERVIEWS or start.startswith("After this page you can ")


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: page.name)
def test_every_anchor_that_is_linked_to_is_a_heading(page: Page) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.prose)
    targets = {(path, anchor): (page.path.parent / path if path else page.path) for path, anchor in links}

    assert [link for link, target in targets.items() if link[1] not in anchors(target.read_text())] == []


def test_every_page_is_in_the_index_once() -> None:
    links = re.findall(r"\]\(([^):]+\.md)\)", page("docs/README.md").text)
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "decisions" not in path.parts)

    assert sorted(link for link in links if not link.startswith(("..", "decisions/"))) == sorted(
        name for name in pages if name != "README.md"
    )


@named
def test_every_block_says_its_language(page: Page) -> None:
    assert {block.language for block in page.blocks} <= LANGUAGES


@named
def test_block_that_shows_a_file_of_the_repository_shows_it_as_it_is(page: Page) -> None:
    quoted = {path: block.text for block in page.blocks if (path := block.mark("of"))}

    assert quoted == {path: (ROOT / path).read_text() for path in quoted}


@named
def test_page_names_nothing_of_the_machine_it_was_written_on(page: Page) -> None:
    assert re.findall(r"/(?:root|home|work|tmp)/\S*", page.text) == []


def test_first_screen_of_the_readme_shows_a_workflow_and_two_commands() -> None:
    readme = page("README.md")
    first = readme.blocks_of("python")[0]

    assert first.line < 10
    assert len(first.text.splitlines()) <= 28
    assert readme.text.index("make demo") < readme.text.index("## ") < len(readme.text)
    assert not re.search(r"[\U0001F300-\U0001FAFF☀-➿]", readme.text)
    assert len(re.findall(r"!\[", readme.text)) <= 3


def test_root_has_the_documents_that_people_look_for() -> None:
    assert {path.name for path in ROOT.glob("*.md")} >= {
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "README.md",
    }
