"""What users import of the kit is a promise: these names, each with its docstring, and no pytest needed."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import stepwell.testing
from stepwell.testing import vendors

NAMES = {
    "CrashPoint",
    "Durability",
    "Effects",
    "Fake",
    "Lab",
    "Replayed",
    "Standstill",
    "SyncLab",
    "assert_durable",
    "connection",
    "lent_connections",
    "replay",
    "running",
    "served",
}


def test_public_names_are_these() -> None:
    assert set(stepwell.testing.__all__) == NAMES
    assert len(stepwell.testing.__all__) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(stepwell.testing, name)
    members = vars(value).items() if inspect.isclass(value) else ()
    calls = {name: member for name, member in members if name[0] != "_" and inspect.isfunction(member)}

    assert value.__name__ == name
    assert (inspect.getdoc(value) or "").strip()
    assert [name for name, member in calls.items() if not inspect.getdoc(member)] == []


VENDORS = {
    "Deliveries",
    "Effect",
    "FakeAzureDevOps",
    "FakeClickUp",
    "FakeGitHub",
    "FakeShopify",
    "FakeVendor",
    "Ledger",
    "Outgoing",
    "Switches",
    "delivered",
}


def test_public_names_of_the_fakes_are_these() -> None:
    assert vendors.__all__ == sorted(VENDORS)


@pytest.mark.parametrize("name", sorted(VENDORS))
def test_public_name_of_the_fakes_can_be_imported_and_each_part_says_what_it_does(name: str) -> None:
    value = getattr(vendors, name)
    members = vars(value).items() if inspect.isclass(value) else ()
    parts = {name: member for name, member in members if name[0] != "_" and inspect.isfunction(member)}

    assert value.__name__ == name
    assert (inspect.getdoc(value) or "").strip()
    assert [name for name, member in parts.items() if not inspect.getdoc(member)] == []


def test_unknown_name_is_told_as_python_tells_it() -> None:
    with pytest.raises(AttributeError, match=r"module 'stepwell\.testing' has no attribute 'lab_of'"):
        _ = stepwell.testing.lab_of


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import stepwell.testing", {"msgspec", "psycopg", "asyncio", "pytest"}),
        ("from stepwell.testing import *", {"pytest"}),
        ("import stepwell.testing.plugin", {"msgspec", "psycopg", "stepwell.app"}),
    ],
)
def test_importing_it_imports_no_more_than_it_takes(statement: str, absent: set[str]) -> None:
    """Every run of pytest imports the plugin."""
    code = f"{statement}; import sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not absent & set(done.stdout.split())
