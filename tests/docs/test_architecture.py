"""ARCHITECTURE.md shows the code as it is."""

from __future__ import annotations

import re
from typing import Any, Protocol

import pytest

from stepwell.store import base
from tests.docs.pages import ROOT, page
from tools.state_diagram import diagram, drawn_in, redrawn

ARCHITECTURE = page("ARCHITECTURE.md")
PACKAGE = ROOT / "src" / "stepwell"


def test_architecture_is_read_in_one_sitting() -> None:
    assert len(ARCHITECTURE.text.splitlines()) < 200


def test_state_diagram_shows_the_legal_moves() -> None:
    assert drawn_in(ARCHITECTURE.text) == diagram()
    assert redrawn(ARCHITECTURE.text) == ARCHITECTURE.text


def test_every_module_of_the_package_has_its_layer() -> None:
    layers = ARCHITECTURE.section("## Layers")
    modules = {
        f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir() if path.name[0] not in "_."
    }

    assert {name for name in modules - {"py.typed"} if f"`{name}`" not in layers} == set()


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", ARCHITECTURE.text))
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}

    assert {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)} == set()


PROTOCOLS = [
    base.Sessions,
    base.Pulse,
    base.Store,
    base.Control,
    base.Reader,
    base.Inbox,
    base.Tokens,
    base.Upkeep,
    base.Wakeups,
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_every_operation_of_the_store_is_listed(protocol: type[Any]) -> None:
    row = re.search(rf"^\| `{protocol.__name__}` \| (.*) \|$", ARCHITECTURE.text, re.MULTILINE)
    operations = {name for name, value in vars(protocol).items() if name[0] != "_" and callable(value)}

    assert row is not None
    assert set(re.findall(r"`([a-z_]+)`", row[1])) == operations
    assert Protocol in protocol.__mro__
