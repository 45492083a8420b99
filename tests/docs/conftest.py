"""What several tests of documents need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.pages import USER_PAGES

Shown = Callable[[str], ModuleType]


@pytest.fixture
def shown(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """Imports a module that a page shows, from a folder with the files of all pages; the database is a fresh one."""
    for page in USER_PAGES:
        for name, block in page.files.items():
            (tmp_path / name).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STEPWELL_DATABASE_URL", database_url)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]
