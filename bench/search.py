"""Looking things up among a million executions that have ended: each filter, over and over, with other values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg

from bench.engines import EngineSpec
from bench.measure import percentile
from bench.postgres import Postgres
from stepwell.core.ids import uuid7
from stepwell.core.model import ExecutionId, Filter
from stepwell.core.status import Status
from stepwell.store.migrate import migrate
from stepwell.store.postgres import PostgresStore

PAGE = 50
APART_SECONDS = 3  # between two starts: a million are five weeks
FLOWS = 9
FINDS_NOTHING = "text_nothing"
FILTERS = (
    "newest", "page", "status", "workflow", "workflow_status", "key",
    "tag_common", "tag_some", "tag_rare", "tags_status", "created", "created_status", "finished", "finished_status",
    "text_rare", "text_common", "text_some", "text_status", FINDS_NOTHING,
)  # fmt: skip

# One in forty failed, one in two hundred was cancelled. Half have the tag `eu` and a tag for one of
# 5,000 customers, one in 200 the tag `large`.
FILL = """
insert into stepwell.execution
    (id, workflow, input, status, passes, created_at, started_at, claimed_at, finished_at, result, error, reason, key,
     tags)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
        || substr(md5(n::text), 4, 15))::uuid,
       case when n %% 2 = 0 then 'order' else 'flow-' || n %% 9 end,
       convert_to('{"order":' || n || ',"customer":"customer ' || n %% 5000 || '","lines":[{"sku":"A-' || n %% 777
                  || '","count":3}],"note":"leave at the back door"}', 'UTF8'),
       status, 1, at, at, at, at + interval '2 seconds',
       case when status = 'completed' then convert_to('{"invoice":"INV-' || n || '","paid":true}', 'UTF8') end,
       case when status = 'failed' then convert_to('{"type":"TimeoutError","message":"","traceback":""}', 'UTF8') end,
       case when status = 'failed' then 'TimeoutError: gateway ' || n %% 50 || ' did not answer' end,
       'key-' || n,
       case when n %% 10 < 5 then array['eu', 'customer-' || n %% 5000]
                                  || case when n %% 200 = 0 then array['large'] else '{}' end end
from (select n, %(begin)s + n * %(apart)s * interval '1 second' as at,
             case when n %% 40 = 3 then 'failed' when n %% 200 = 7 then 'cancelled' else 'completed' end as status
      from generate_series(1, %(count)s) n) s
"""


def look_up(engine: EngineSpec, postgres: Postgres, *, executions: int, questions: int) -> dict[str, float]:
    """How long a page of each filter takes, and how long it took to enter an execution into the index of words."""
    with postgres.database(f"bench_{engine.name}_search") as url:
        migrate(url)
        begin = datetime.now(UTC) - timedelta(seconds=APART_SECONDS * executions)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL, {"begin": begin, "apart": APART_SECONDS, "count": executions})
            connection.execute("vacuum analyze stepwell.execution")
        return asyncio.run(_ask(url, begin, executions=executions, questions=questions))


async def _ask(url: str, begin: datetime, *, executions: int, questions: int) -> dict[str, float]:
    store = PostgresStore(url)
    await store.open()
    began = time.perf_counter()
    while await store.make_searchable():
        pass
    figures = {"entered_us": (time.perf_counter() - began) / executions * 1e6}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze stepwell.searchable")
    random = Random(7)
    for name, filter_of in _filters(begin, executions, random).items():
        milliseconds = []
        await store.list(filter_of(), limit=PAGE)  # connects, and prepares the statements
        for _ in range(questions):
            which = filter_of()
            asked = time.perf_counter()
            found = await store.list(which, limit=PAGE)
            milliseconds.append((time.perf_counter() - asked) * 1e3)
            assert (name != FINDS_NOTHING) is bool(found) or executions < 100_000, (
                f"{name}: {which}: {len(found)} found"
            )
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = (
            percentile(milliseconds, 50),
            percentile(milliseconds, 99),
        )
    await store.close()
    return figures


def _filters(begin: datetime, executions: int, random: Random) -> dict[str, Callable[[], Filter]]:
    """A filter of each kind, with other values at each call."""

    def moment() -> datetime:
        return begin + timedelta(seconds=random.uniform(0.05, 0.95) * APART_SECONDS * executions)

    def at_a_time(which: Filter) -> Filter:
        at = moment()
        return replace(which, created_after=at - timedelta(days=1), created_before=at)

    def any_number() -> int:
        return random.randrange(1, executions)

    def customer() -> str:
        return f"customer-{random.randrange(500) * 10 + random.randrange(5)}"

    def flow() -> str:
        return f"flow-{random.randrange(FLOWS)}"

    failed, cancelled = (Status.FAILED,), (Status.CANCELLED,)
    return {
        "newest": Filter,
        "page": lambda: Filter(before=ExecutionId(uuid7(unix_ms=int(moment().timestamp() * 1000), random_bits=0))),
        "status": lambda: Filter(statuses=random.choice([failed, cancelled, (*failed, *cancelled)])),
        "workflow": lambda: Filter(workflow=flow()),
        "workflow_status": lambda: Filter(workflow=flow(), statuses=failed),
        "key": lambda: Filter(key=f"key-{any_number()}"),
        "tag_common": lambda: Filter(tags=("eu",)),
        "tag_some": lambda: Filter(tags=("large",)),
        "tag_rare": lambda: Filter(tags=(customer(),)),
        "tags_status": lambda: Filter(tags=("eu",), statuses=failed),
        "created": lambda: at_a_time(Filter()),
        "created_status": lambda: at_a_time(Filter(statuses=failed)),
        "finished": lambda: Filter(finished_after=(at := moment()) - timedelta(hours=1), finished_before=at),
        "finished_status": lambda: Filter(finished_before=moment(), statuses=cancelled),
        "text_rare": lambda: Filter(text=f"INV-{any_number() // 40 * 40 + 1}"),
        "text_common": lambda: Filter(text="back door"),
        "text_some": lambda: Filter(text=f"A-{random.randrange(777)}"),
        "text_status": lambda: Filter(text=f"gateway {random.randrange(50)}", statuses=failed),
        FINDS_NOTHING: lambda: Filter(text=f"nowhere-{any_number()}"),
    }
