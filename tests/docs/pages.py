"""What the documents consist of: pages, and the fenced blocks in them.

A page's Python blocks form one program, in their order, with `await` at the top level as in `python -m asyncio`. Words
after the language change that:

    python file=flows.py                a file of the reader's project, and not a part of the page's program
    python file=web.py requires=flask   one that runs only where that package is installed
    python of=tests/test_x.py           that file of the repository, as it is
    text output                         what the block before it prints
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*) *(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words after that, its text, and the line in its page where the text begins."""

    language: str
    marks: tuple[str, ...]
    text: str
    line: int

    def mark(self, name: str) -> str | None:
        """The value of `name=value` among the marks."""
        return next((mark.partition("=")[2] for mark in self.marks if mark.startswith(f"{name}=")), None)

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments."""
        return [line.partition("  #")[0].strip() for line in self.text.splitlines() if line and line[0] != "#"]


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def slug(self) -> str:
        """The name as a Python module's."""
        return "page_" + re.sub(r"\W", "_", self.name.removesuffix(".md").lower())

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(found[1], tuple(found[2].split()), found[3], self.text.count("\n", 0, found.start()) + 2)
            for found in _FENCE.finditer(self.text)
        ]

    def blocks_of(self, *languages: str) -> list[Block]:
        return [block for block in self.blocks if block.language in languages]

    def section(self, heading: str) -> str:
        """What stands under a heading, up to the next one of its level."""
        level = "#" * (len(heading) - len(heading.lstrip("#")))
        found = re.search(rf"^{re.escape(heading)}$\n(.*?)(?=^{level} |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found, f"{self.name} has no heading {heading!r}"
        return found[1]

    @property
    def program(self) -> str:
        """The page's program, every line at the number that it has in the page."""
        lines: list[str] = []
        for block in self.blocks_of("python"):
            if not (block.mark("file") or block.mark("of")):
                lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
        return "\n".join(lines) + "\n" if lines else ""

    @property
    def files(self) -> dict[str, Block]:
        """The files of the reader's project that the page shows."""
        return {name: block for block in self.blocks if (name := block.mark("file"))}


USER_PAGES = [
    Page(ROOT / "README.md"),
    *(Page(path) for path in sorted(DOCS.rglob("*.md")) if "decisions" not in path.parts),
]


def page(name: str) -> Page:
    """A page by its path in the repository."""
    return Page(ROOT / name)
