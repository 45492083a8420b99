"""Listings look back in steps, as far as what was found suggests. Whatever the steps, the pages hold all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest

from stepwell.core.model import Filter
from stepwell.core.search import LOOK_ROWS
from stepwell.core.status import Status
from stepwell.store.postgres import PostgresStore
from tests.databases import Admin, fresh_database

ENDED = 20_000
PAGE = 50

# `one_in_N` come evenly; `newest` and `oldest` lie together at either end, and `both` at both with nothing between.
_FILL = """
insert into stepwell.execution
    (id, workflow, input, status, passes, created_at, started_at, finished_at, result, tags)
select gen_random_uuid(), 'flow-' || n % 3, convert_to('{"note":"' || array_to_string(tags, ' ') || '"}', 'UTF8'),
       case when n % 40 = 0 then 'failed' else 'completed' end, 1, at, at, at, '1', tags
from (select n, now() - n * interval '1 minute' as at,
             array_remove(array[case when n % 7 = 0 then 'one7' end, case when n % 90 = 0 then 'one90' end,
                                case when n % 1500 = 0 then 'one1500' end, case when n <= 130 then 'newest' end,
                                case when n > {ended} - 130 then 'oldest' end,
                                case when n <= 20 or n > {ended} - 200 then 'both' end], null) as tags
      from generate_series(1, {ended}) n) s
"""
_ENTER = """
insert into stepwell.searchable (execution_id, created_at, finished_at, words)
select id, created_at, finished_at, array_to_tsvector(tags || '{note}'::text[]) from stepwell.execution
"""
_MEANT = "select id from stepwell.execution where tags @> %s and status = any(%s) order by created_at desc, id desc"

KINDS = ("one7", "one90", "one1500", "newest", "oldest", "both", "nobody")


@pytest.fixture(scope="module")
def filled(admin: Admin, server_url: str, template: str) -> Iterator[str]:
    with fresh_database(admin, server_url, template) as url:
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(_FILL.replace("{ended}", str(ENDED)).encode())
            raw.execute(_ENTER)
            raw.execute("update stepwell.upkeep set reached_at = now()")
            raw.execute("vacuum analyze stepwell.execution")
            raw.execute("vacuum analyze stepwell.searchable")
        yield url


@pytest.fixture
async def store(filled: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(filled)
    await store.open()
    yield store
    await store.close()


def _meant(url: str, kind: str, statuses: tuple[Status, ...]) -> list[object]:
    with psycopg.connect(url) as raw:
        return [id for (id,) in raw.execute(_MEANT, ([kind], [*(statuses or Status)])).fetchall()]


@pytest.mark.parametrize("statuses", [(), (Status.FAILED,)])
@pytest.mark.parametrize("by", ["tags", "text"])
@pytest.mark.parametrize("kind", KINDS)
async def test_pages_hold_all_that_is_meant_newest_first(
    store: PostgresStore, filled: str, kind: str, by: str, statuses: tuple[Status, ...]
) -> None:
    which = Filter(statuses, tags=(kind,)) if by == "tags" else Filter(statuses, text=kind)
    found: list[object] = []
    for _ in range(3):
        page = await store.list(which, limit=PAGE)
        found += [execution.id for execution in page]
        if len(page) < PAGE:
            break
        which = replace(which, before=page[-1].id)
    assert found == _meant(filled, kind, statuses)[: 3 * PAGE]


_AT_ONE_MOMENT = """
insert into stepwell.execution (id, workflow, input, status, passes, created_at, started_at, finished_at, result)
select gen_random_uuid(), 'flow', '{}', 'completed', 1, at, at, at, '"all"'
from (select now() as at from generate_series(1, %s)) s
"""
_FIND_ALL = "insert into stepwell.searchable select id, created_at, finished_at, '''all''' from stepwell.execution"


async def test_pages_go_on_where_more_were_created_at_one_moment_than_are_looked_at(
    admin: Admin, server_url: str, template: str
) -> None:
    """As many starts in one transaction are."""
    with fresh_database(admin, server_url, template) as url:
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(_AT_ONE_MOMENT, [LOOK_ROWS + 2 * PAGE])
            raw.execute(_FIND_ALL)
            raw.execute("update stepwell.upkeep set reached_at = now() + interval '1 hour'")
        store = PostgresStore(url)
        first = await store.list(Filter(text="all"), limit=PAGE)
        second = await store.list(Filter(text="all", before=first[-1].id), limit=PAGE)
        await store.close()
    ids = [execution.id for execution in (*first, *second)]
    assert len(ids) == 2 * PAGE
    assert ids == sorted(set(ids), reverse=True)
