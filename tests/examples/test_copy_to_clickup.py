"""The demo of Azure DevOps and ClickUp: real processes, a real database, a kill after each step's effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.demos import run_demo

PATIENCE_SECONDS = 150

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


def test_work_item_becomes_one_task_although_every_step_was_cut_after_its_effect(tmp_path: Path) -> None:
    """Also one answer that counts, of two people who follow the link."""
    ended = run_demo("examples.copy_to_clickup.demo", folder=tmp_path, within=PATIENCE_SECONDS)

    assert "Nothing was lost and nothing was done twice." in ended.stdout, ended.stdout + ended.stderr
    assert ended.stdout.count("kill -9") == 4
    assert ended.returncode == 0
