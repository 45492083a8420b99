"""Writes the tables of routes into docs/reference/http.md, from the routes themselves."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stepwell.server.fields import Which
from stepwell.server.routes import Route
from stepwell.server.table import TABLE

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "http.md"
BEGIN, END = "<!-- routes: written by tools/http_routes.py -->\n", "<!-- end of routes -->"

_FILTER = set(Which.__struct_fields__)


def tables(table: Sequence[Route] = TABLE) -> str:
    """A row for each route: what it does, which scope it needs, what it takes."""
    head = "| route | scope | what it does | takes |\n| --- | --- | --- | --- |\n"
    return head + "".join(f"{_row(route)}\n" for route in table)


def _row(route: Route) -> str:
    does = (inspect.getdoc(route.function) or "").partition("\n")[0].rstrip(".")
    return f"| `{route.method} {route.path}` | {route.scope} | {does} | {_takes(route)} |"


def _takes(route: Route) -> str:
    names = [field.encode_name for kind in (route.query, route.body) if kind for field in msgspec.structs.fields(kind)]
    is_filtered = set(names) >= _FILTER
    shown = [f"`{name}`" for name in names if not (is_filtered and name in _FILTER)]
    return ", ".join(["the [filter](#filters)"] * is_filtered + shown)


def written_in(page: str) -> str:
    """The tables that a page has."""
    return page.partition(BEGIN)[2].partition(END)[0]


def rewritten(page: str) -> str:
    """The page with the tables of today."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + tables() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
