"""Listings stay on their indexes, however much has ended: what is counted is pages touched, never time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from stepwell.core.search import patterns_of
from stepwell.store.connect import Route, with_plans_for_values, with_settings
from stepwell.store.statements import statement
from tests.databases import Admin, fresh_database

ENDED = 60_000
FAR, LAST = "2100-01-01", UUID(int=2**128 - 1)

_FILL = """
insert into stepwell.execution
    (id, workflow, input, status, passes, created_at, started_at, finished_at, result, key, tags)
select gen_random_uuid(), 'flow-' || n % 10, convert_to('{"order":' || n || '}', 'UTF8'),
       case when n % 50 = 0 then 'failed' else 'completed' end, 1, at, at, at, '1', 'key-' || n,
       case when n % 1000 = 0 then array['rare'] end
from (select n, now() - n * interval '1 minute' as at from generate_series(1, {ended}) n) s;
insert into stepwell.searchable (execution_id, created_at, finished_at, words)
select id, created_at, finished_at, array_to_tsvector(array[substr(key, 5), 'order']) from stepwell.execution;
update stepwell.upkeep set reached_at = now();
vacuum analyze stepwell.execution;
vacuum analyze stepwell.searchable;
"""

# Tables and indexes have thousands of pages. A row of a page of 50 is some 8 of them, a lane 4.
MOST_PAGES = {
    "newest": 1_000,
    "newest failed": 800,
    "newest of one workflow": 500,
    "key": 300,
    "rare tag": 600,
    "end": 800,
    "word": 200,
    "two words": 300,
    "no such word": 200,
}


def _calls() -> dict[str, tuple[str, list[object]]]:
    """Statement and parameters by what it is here."""

    def which(**given: object) -> list[object]:
        names = ("statuses", "workflow", "key", "tags", "parent", "c1", "c2", "f1", "f2", "patterns", "id1", "id2")
        empty: dict[str, object] = {"statuses": [], "tags": [], "patterns": []}
        return [*(given.get(name, empty.get(name)) for name in names), FAR, LAST]

    page, words = ["-infinity", 50, 50], which(patterns=list(patterns_of("31000")))
    two = which(patterns=list(patterns_of("310 nowhere")))
    return {
        "newest": ("newest", [*which(), *page]),
        "newest failed": ("newest", [*which(statuses=["failed"]), *page]),
        "newest of one workflow": ("newest", [*which(workflow="flow-3"), *page]),
        "key": ("found", [*which(key="key-31000"), "-infinity", 50]),
        "rare tag": ("found", [*which(tags=["rare"]), "-infinity", 50]),
        "end": ("found", [*which(f1="now", f2=FAR), "-infinity", 50]),
        "word": ("search", [*words, "-infinity", "'31000':*", 50, "'31000':*"]),
        "two words": ("search", [*two, "-infinity", "'310':*", 50, "'310':* & 'nowhere':*"]),
        "no such word": ("search", [*words, "-infinity", "'nowhere':*", 50, "'nowhere':*"]),
    }


@pytest.fixture(scope="module")
def pages(admin: Admin, server_url: str, template: str) -> Iterator[dict[str, int]]:
    """How many pages each touches."""
    with fresh_database(admin, server_url, template) as url:
        with psycopg.connect(url, autocommit=True) as raw:
            for part in _FILL.replace("{ended}", str(ENDED)).split(";\n")[:-1]:
                raw.execute(part.encode())
        route = with_plans_for_values(Route(with_settings(url), is_pooled=False))
        with psycopg.connect(route.conninfo, autocommit=True, cursor_factory=psycopg.ClientCursor) as engine:
            yield {what: _pages(engine, name, values) for what, (name, values) in _calls().items()}


def _pages(engine: psycopg.Connection[Any], name: str, values: list[object]) -> int:
    engine.execute("deallocate all")
    engine.execute(b"prepare it as " + statement(name).text)
    marks = ", ".join(["%s"] * len(values))
    row = engine.execute(f"explain (analyze, buffers, format json) execute it ({marks})".encode(), values).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.parametrize("what", MOST_PAGES)
def test_listing_touches_few_pages(pages: dict[str, int], what: str) -> None:
    """F90."""
    assert pages[what] < MOST_PAGES[what]
