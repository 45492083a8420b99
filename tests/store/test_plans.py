"""The hot statements stay on their indexes, however much has piled up, also with plans made when all was empty.

What is counted is pages touched and rows looked at, never time. Each statement is explained as it ran, then undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from stepwell.store.connect import with_settings
from stepwell.store.control import NEWEST
from stepwell.store.statements import statement
from tests.databases import Admin, fresh_database

SIZES = {"finished": 200_000, "sleeping": 25_000, "due": 10_000, "running": 500, "checkpoints": 3, "paused": 100_000}
SIZES |= {"deliveries": 100_000}
SESSION = UUID("00000000-0000-0000-0000-000000000001")
ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)

_FILL = """
insert into stepwell.worker (id, name, workflows, queues, expires_at)
select '00000000-0000-0000-0000-000000000001', 'host:1', '{order}', '{default}', now() + interval '1 hour';

insert into stepwell.execution (id, workflow, input, status, passes, started_at, claimed_at, finished_at, result, key)
select gen_random_uuid(), 'order', '{}', 'completed', 1, now(), now(), now(), '1', 'key-' || n
from generate_series(1, %(finished)s) n;

insert into stepwell.execution (id, workflow, queue, input, passes, started_at, claimed_at, due_at, reason)
select gen_random_uuid(), 'order', queue, '{}', 1, now(), now(), now() + n * interval '1 minute', 'sleeping'
from generate_series(1, %(sleeping)s) n, unnest('{default,quiet}'::text[]) queue;

insert into stepwell.execution (id, workflow, input, passes, started_at, claimed_at, due_at, reason)
select gen_random_uuid(), 'order', '{}', 1, now(), now(), now() - n * interval '1 second', 'sleeping'
from generate_series(1, %(due)s) n;

insert into stepwell.execution (id, workflow, input, status, owner, passes, started_at, claimed_at)
select gen_random_uuid(), 'order', '{}', 'running', '00000000-0000-0000-0000-000000000001', 1, now(), now()
from generate_series(1, %(running)s) n;

insert into stepwell.schedule (id, workflow, queue, every_seconds, catch_up, max_catch_up, overlap, jitter_seconds,
                               next_at)
select 'schedule-' || n, 'order', 'default', 60, 'last', 100, (array['skip', 'queue'])[n %% 2 + 1], 0,
       now() - interval '1 s'
from generate_series(1, 100) n;

update stepwell.execution set schedule = 'schedule-' || (extract(epoch from due_at)::int8 %% 100 + 1)
where queue = 'quiet';

insert into stepwell.trigger (id, workflow, pattern) values ('orders', 'order', 'order.%%');

insert into stepwell.event (sent_at, number, name, address, payload)
select now(), n, 'order.created', '', '1' from generate_series(1, 10000) n;

insert into stepwell.dispatch (trigger, name, address, number)
select 'orders', name, address, number from stepwell.event where name = 'order.created';

insert into stepwell.checkpoint (execution_id, digest, is_failure, kind, key, value)
select x.id, 1, false, 'step', 'step-' || n, '"a result"'
from stepwell.execution x, generate_series(1, %(checkpoints)s) n where x.status <> 'completed';

insert into stepwell.execution (id, workflow, input, passes, started_at, claimed_at, due_at, paused_at, paused_by)
select gen_random_uuid(), 'order', '{}', 1, now(), now(), now() - interval '1 day', now(), 'ann'
from generate_series(1, %(paused)s) n;

insert into stepwell.delivery (id, source, connection, dedupe_key, type, executions, headers, body)
select gen_random_uuid(), 'shopify', 'acme', 'old-' || n, 'orders/create', '{}', '{}', '{}'
from generate_series(1, %(deliveries)s) n;

insert into stepwell.audit (execution_id, actor, action)
select id, 'ann', 'pause' from stepwell.execution where paused_at is not null;
"""

# Pages touched by a hundred rows (one for those that are about one). A page is touched for each level of an index that
# is looked into and for each index that gets an entry: some 20 for a row that is changed, 10 for one that is stored.
MOST_PAGES = {
    "claim": 4_000,
    "empty poll": 30,
    "flush": 5_000,
    "checkpoint": 2_000,
    "one checkpoint": 50,
    "one completion": 100,
    "completions": 4_000,
    "repeated start": 2_000,
    "watch": 2_000,
    "ended": 500,
    "beat": 50,
    "reap": 100,
    "leave": 15_000,
    "cancel": 50,
    "reopen": 50,
    "pause": 50,
    "resume": 50,
    "orders": 500,
    "fork": 150,
    "audit of one": 30,
    "audit of all": 30,
    "due schedules": 20_000,
    "start a tick": 60,
    "take events": 3_000,
    "settle events": 8_000,
    "deliveries": 6_000,
    "repeated deliveries": 4_000,
    "page of deliveries": 150,
    "old deliveries": 30,
    "first page": 800,
    "steps": 50,
}
STATES = ("never analysed", "analysed")

Plan = dict[str, Any]


class Engine:
    """A connection with the engine's settings, which keeps the plan of each statement that it has prepared."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(with_settings(url), cursor_factory=psycopg.ClientCursor)
        self._prepared: set[str] = set()

    def explain(self, name: str, *values: object) -> Plan:
        """How the statement ran and what it touched."""
        with self._connection.transaction(force_rollback=True):
            if name not in self._prepared:
                prepared = statement(name)
                self._connection.execute(b"prepare %b as %b" % (prepared.name, prepared.text))
                self._prepared.add(name)
            marks = ", ".join(["%s"] * len(values))
            text = f"explain (analyze, buffers, timing off, format json) execute stepwell_{name} ({marks})"
            row = self._connection.execute(text.encode(), values).fetchone()
        assert row is not None
        plan: Plan = row[0][0]["Plan"]
        return plan

    def close(self) -> None:
        self._connection.close()


def _calls(running: list[UUID], finished: list[UUID], paused: UUID = SESSION) -> dict[str, tuple[str, list[object]]]:
    """What a busy engine runs all the time, a hundred rows each: statement and parameters by what it is here."""
    each = len(running)
    one = running[0] if running else SESSION
    checkpoints = [running, ["new"] * each, ["step"] * each, [7] * each, [False] * each, [b"1"] * each]
    attempts = [running, ["call"] * each, [1] * each, [ANY_TIME] * each, [b"e"] * each]
    none, results = [None] * each, [b"1"] * each
    endings = [running, ["completed"] * each, none, results, none, none, [""] * each, [0] * each, [False] * each]
    children: list[list[object]] = [[], [], [], [], [], [], [], []]
    names = [["order"] * each, ["default"] * each, [f"key-{n}" for n in range(each)], [""] * each]
    deadlines = [none, [0.0] * each]
    dispatches = [["orders"] * each, ["order.created"] * each, [""] * each, list(range(1, each + 1))]
    starts = [[uuid4() for _ in running], *names, [b"{}"] * each, [0.0] * each, [False] * each, *deadlines]
    return {
        "claim": ("claim", [SESSION, ["default"], ["order"], 100, ANY_TIME, True, [], [], True]),
        "empty poll": ("claim", [SESSION, ["quiet"], ["order"], 100, ANY_TIME, True, [], [], True]),
        "flush": ("flush", [SESSION, *checkpoints, *attempts, *endings, *children, [False] * each]),
        "checkpoint": ("checkpoint", [SESSION, *checkpoints]),
        "one checkpoint": ("checkpoint_one", [SESSION, one, "new", "step", 7, False, b"1"]),
        "one completion": ("complete_one", [SESSION, one, b"1"]),
        "completions": ("complete", [SESSION, *checkpoints, running, results]),
        "repeated start": ("create", starts),
        "watch": ("watch", [finished]),
        "ended": ("ended", [finished]),
        "beat": ("beat", [SESSION, 10.0]),
        "reap": ("reap", [4]),
        "leave": ("close_session", [SESSION]),
        "cancel": ("cancel", [one, "no longer needed", False, "ann"]),
        "reopen": ("reopen", [one, "ann"]),
        "pause": ("pause", [one, "ann", None]),
        "resume": ("resume", [paused, "ann", None]),
        "orders": ("orders", [running]),
        "fork": ("fork", [one, uuid4(), None, "step-2", ["step-1"], [b"2"], "ann"]),
        "audit of one": ("audits", [paused, NEWEST, 100]),
        "audit of all": ("audits", [None, NEWEST, 100]),
        "due schedules": ("due_schedules", [["order"]]),
        "start a tick": ("fire", ["schedule-1", 0, *[ANY_TIME] * 3, None, [uuid4()], ["tick"], [b"{}"], [0.0]]),
        "take events": ("take", [["orders"], 30.0, 100]),
        "settle events": ("settle", [*dispatches, [uuid4() for _ in running], *names[:3], [b"{}"] * each]),
        "deliveries": ("accept", _accepted([f"new-{n}" for n in range(each)])),
        "repeated deliveries": ("accept", _accepted([f"old-{n + 1}" for n in range(each)])),
        "page of deliveries": ("deliveries", ["shopify", *[None] * 5, 50]),
        "old deliveries": ("remove_deliveries", [3_600.0, 500]),
        "first page": (
            "newest",
            [[], None, None, [], *[None] * 5, [], None, None, ANY_TIME, SESSION, ANY_TIME, 50, 50],
        ),
        "steps": ("steps", [one, "", 0, 100]),
    }


def _accepted(keys: list[str]) -> list[object]:
    """Deliveries, each of which starts an execution."""
    each = len(keys)
    ids, starts, places = [uuid4() for _ in keys], [uuid4() for _ in keys], list(range(1, each + 1))
    names = [["shopify"] * each, ["acme"] * each, keys, ["orders/create"] * each, [None] * each]
    said = [[b"{}"] * each, [b"{}"] * each, [False] * each, places, places]
    new = [starts, ids, ["order"] * each, ["default"] * each, keys, [b"{}"] * each]
    return [0, ids, *names, *said, *new, [0] * each]


@pytest.fixture(scope="module")
def plans(admin: Admin, server_url: str, template: str) -> Iterator[dict[tuple[str, str], Plan]]:
    """What each statement did: by the plan made when all was empty, and by one made after the tables were analysed."""
    found: dict[tuple[str, str], Plan] = {}
    with fresh_database(admin, server_url, template) as url, psycopg.connect(url, autocommit=True) as raw:
        engine = Engine(url)
        for name, values in _calls([], []).values():
            engine.explain(name, *values)
        raw.execute((_FILL % SIZES).encode())
        running, finished = (_some(raw, f"status = '{status}'") for status in ("running", "completed"))
        paused = _some(raw, "paused_at is not null")[0]
        for state in STATES:
            if state == "analysed":
                raw.execute("analyze")
            for what, (name, values) in _calls(running, finished, paused).items():
                found[state, what] = engine.explain(name, *values)
        engine.close()
        yield found


def _some(raw: psycopg.Connection[Any], which: str) -> list[UUID]:
    rows = raw.execute(f"select id from stepwell.execution where {which} order by id limit 100".encode()).fetchall()
    return [id for (id,) in rows]


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scans(plan: Plan, *tables: str) -> list[Plan]:
    return [node for node in nodes(plan) if node.get("Relation Name") in tables and "Scan" in node["Node Type"]]


each_state = pytest.mark.parametrize("state", STATES)
each_statement = pytest.mark.parametrize("what", MOST_PAGES)


@each_state
@each_statement
def test_large_tables_are_read_by_index_only(plans: dict[tuple[str, str], Plan], state: str, what: str) -> None:
    found = scans(
        plans[state, what], "execution", "checkpoint", "attempt", "schedule", "dispatch", "event", "audit", "delivery"
    )

    assert found
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan"}


@each_state
@each_statement
def test_statement_touches_few_pages(plans: dict[tuple[str, str], Plan], state: str, what: str) -> None:
    """F90: 260,000 executions are there, a hundred are worked on."""
    plan = plans[state, what]

    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < MOST_PAGES[what]


@each_state
def test_claim_looks_at_what_it_takes_and_at_nothing_else(plans: dict[tuple[str, str], Plan], state: str) -> None:
    """F99: ten thousand are due at once, a hundred are asked for; a hundred thousand that are paused cost nothing."""
    plan = plans[state, "claim"]

    looked_at = [
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in scans(plan, "execution")
    ]
    assert max(looked_at) <= 110
    assert plan["Actual Rows"] == 100


@each_state
def test_poll_that_finds_nothing_looks_at_no_sleeper_but_the_next(
    plans: dict[tuple[str, str], Plan], state: str
) -> None:
    """F90: 25,000 sleep in that queue."""
    found = scans(plans[state, "empty poll"], "execution")

    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in found) <= 1


@each_state
def test_claim_ends_no_sessions(plans: dict[tuple[str, str], Plan], state: str) -> None:
    """F19: sweeping is the reaper's, not the claim's."""
    changed = [node for node in nodes(plans[state, "claim"]) if node["Node Type"] == "ModifyTable"]

    assert [(node["Operation"], node["Relation Name"]) for node in changed] == [("Update", "execution")]
