"""The pages on testing: what the guide shows passes under pytest, and the reference knows every name of the kit."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepwell import testing
from stepwell.runtime.history import history_of, history_to_json
from stepwell.testing import running, vendors
from tests.docs.conftest import Shown
from tests.docs.pages import ROOT, page
from tests.docs.test_reference import is_property, members, shapes, written_shape

GUIDE = page("docs/guides/testing.md")
REFERENCE = page("docs/reference/testing.md")

VENDORS = vendors.__all__
PUBLIC = {name: getattr(testing, name) for name in testing.__all__}
CLASSES = {name: kind for name, kind in PUBLIC.items() if inspect.isclass(kind) and name != "running"}


# --- the guide ----------------------------------------------------------------------------------------------------


async def trial_under_way(trials: Any) -> str:
    """The history of an execution, as `stepwell executions export` prints it."""
    async with running(trials.app) as lab:
        lab.fake("send-mail", None)
        handle = await trials.app.start(trials.trial, "Ada")
        await lab.advance("1d")
        records = await trials.app.steps(handle.id)
        return history_to_json(history_of(await trials.app.get(handle.id), records, as_of=lab.now))


def test_every_test_that_the_guide_shows_passes(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text(asyncio.run(trial_under_way(shown("trials"))))
    settings = "".join(block.text for block in GUIDE.blocks_of("toml"))
    (tmp_path / "pyproject.toml").write_text(
        f'{settings}asyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"\n'
    )
    tests = [name for name in GUIDE.files if name.startswith("test_")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:stepwell", "-p", "stepwell.testing.plugin", *tests]

    done = subprocess.run(
        command, cwd=tmp_path, env=env | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False
    )

    assert f"{len(tests) + 2} passed" in done.stdout, done.stdout + done.stderr


# --- the reference ------------------------------------------------------------------------------------------------


def test_every_public_name_has_a_section() -> None:
    assert set(re.findall(r"^## (\w+)$", REFERENCE.text, re.MULTILINE)) == PUBLIC.keys()


@pytest.mark.parametrize("name", VENDORS)
def test_every_name_of_the_fakes_is_told(name: str) -> None:
    assert f"`{name}" in REFERENCE.section("## Fakes of vendors")


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_is_told(name: str) -> None:
    section = REFERENCE.section(f"## {name}")
    fields = (
        [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind := CLASSES[name]) else []
    )

    assert [told for told in [*members(kind), *fields] if f"`{told}" not in section] == []


@pytest.mark.parametrize("name", CLASSES)
def test_every_signature_is_that_of_the_code(name: str) -> None:
    for heading in re.findall(r"^### `(.+)`$", REFERENCE.section(f"## {name}"), re.MULTILINE):
        member = inspect.getattr_static(CLASSES[name], heading.partition("(")[0])
        if is_property(member):
            assert "(" not in heading
        else:
            assert written_shape(heading) in shapes(getattr(CLASSES[name], heading.partition("(")[0])), heading


@pytest.mark.parametrize("name", ["running", "assert_durable", "replay", "served", "connection"])
def test_signature_of_what_is_called_by_its_own_name_is_that_of_the_code(name: str) -> None:
    written = re.search(rf"`({name}\(.*?\))`", REFERENCE.section(f"## {name}"))

    assert written is not None
    assert written_shape(written[1]) in shapes(PUBLIC[name])
