"""Every block of Python in the documents has the right types; programs run and print what the page says."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from stepwell import App
from stepwell.sealing import new_key
from tests.docs.pages import ROOT, USER_PAGES, Page

PROGRAMS = [page for page in USER_PAGES if page.program]
# Not every package is installed, or has types.
WITH_OTHERS = '# mypy: disable-error-code="import-untyped, import-not-found, untyped-decorator"\n'
SECONDS = 20


def test_every_block_of_python_has_the_right_types(tmp_path: Path) -> None:
    for page in USER_PAGES:
        if page.program:
            (tmp_path / f"{page.slug}.py").write_text(as_function(page.program))
        for name, block in page.files.items():
            if block.language == "python":
                assert not (tmp_path / name).exists(), f"two pages show a file {name}"
                (tmp_path / name).write_text((WITH_OTHERS if block.mark("requires") else "") + block.text)
    modules = [argument for path in sorted(tmp_path.glob("*.py")) for argument in ("-m", path.stem)]

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *modules],
        cwd=ROOT, env={"MYPYPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.stdout + checked.stderr == ""


def as_function(program: str) -> str:
    """The program where a type checker allows `await`: in an async function. Lines keep their numbers."""
    assert program.startswith("\n"), "a page begins with its title"
    return "async def program() -> None:" + textwrap.indent(program, "    ")


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.name)
async def test_program_of_a_page_prints_what_the_page_says(
    page: Page, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_DATABASE_URL", database_url)
    monkeypatch.setenv("STEPWELL_KEYS", new_key("docs").text())
    expected = "".join(block.text for block in page.blocks_of("text") if "output" in block.marks)

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        async with asyncio.timeout(SECONDS):
            await run(page)

    assert printed.getvalue() == expected


async def run(page: Page) -> None:
    """Run the page's program as `python -m asyncio` would, and close what it opened."""
    names: dict[str, Any] = {"__name__": page.slug}
    code = compile(page.program, str(page.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    try:
        if (waiting := eval(code, names)) is not None:
            await waiting
    finally:
        for value in names.values():
            if isinstance(value, App):
                await value.close()
