"""Waiting stays on its indexes among 100,000 waits and as many topics; as in test_plans, pages and rows are counted.

A hundred rows a statement, by a plan made when all was empty and by one made after the tables were analysed.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.databases import Admin, fresh_database
from tests.store.test_plans import SESSION, STATES, Engine, Plan, nodes, scans

FILL = """
insert into stepwell.worker (id, name, workflows, queues, expires_at)
select '00000000-0000-0000-0000-000000000001', 'host:1', '{order}', '{default}', now() + interval '1 hour';

insert into stepwell.execution (id, workflow, input, status, passes, started_at, claimed_at, reason)
select gen_random_uuid(), 'order', '{}', 'waiting', 1, now(), now(), 'waits' from generate_series(1, 100000) n;

insert into stepwell.topic (name, address, last, previous, waits)
select 'paid', 'x:' || id, 0, 0, 1 from stepwell.execution;

insert into stepwell.wait (execution_id, key, name, address, after)
select id, 'wait', 'paid', 'x:' || id, 0 from stepwell.execution;

insert into stepwell.topic (name, address, last, previous, waits) values ('paid', 'k:busy', 100000, 99999, 1);

insert into stepwell.event (sent_at, number, name, address, id, payload)
select now(), n, 'paid', 'k:busy', 'id-' || n, '1' from generate_series(1, 100000) n;

insert into stepwell.execution (id, workflow, input, status, owner, passes, started_at, claimed_at)
select gen_random_uuid(), 'order', '{}', 'running', '00000000-0000-0000-0000-000000000001', 1, now(), now()
from generate_series(1, 100) n;

insert into stepwell.execution (id, workflow, input, status, passes, reason, parent_id, parent_key, is_called)
select gen_random_uuid(), 'order', '{}', 'waiting', 1, 'waits', p.id, 'call-' || n, true
from stepwell.execution p, generate_series(1, 10) n where p.status = 'running';

insert into stepwell.execution (id, workflow, input, status, owner, passes, parent_id, parent_key, is_called)
select gen_random_uuid(), 'order', '{}', 'running', '00000000-0000-0000-0000-000000000001', 1, p.id, 'call', true
from (select id from stepwell.execution where status = 'waiting' and parent_id is null limit 100) p;
"""

MOST_PAGES = {
    "look, and wait": 6_000,
    "look, and find": 1_500,
    "look at the end of a long topic": 1_500,
    "send": 300,
    "send what was sent": 60,
    "flush that starts children": 4_000,
    "flush of ends of children": 6_000,
    "flush of ends of parents": 60_000,  # a thousand children are asked to be cancelled
    "flush of waits that are over": 4_000,
    "called": 1_200,
    "cancel a child": 200,
}
TABLES = ("execution", "topic", "event", "wait")

Known = dict[str, list[UUID]]


def _calls(known: Known) -> dict[str, tuple[str, list[object]]]:
    """Statement and parameters by what it is here."""
    waiting, parents, called = known["waiting"], known["parents"], known["called"]
    return {
        "look, and wait": ("look", _looks(parents, [f"x:{id}" for id in parents], 0)),
        "look, and find": ("look", _looks(parents, ["k:busy"] * len(parents), 50_000)),
        "look at the end of a long topic": ("look", _looks(parents, ["k:busy"] * len(parents), 99_999)),
        "send": ("send", ["paid", f"x:{waiting[0]}", "new", b"1", waiting[0], None]),
        "send what was sent": ("send", ["paid", "k:busy", "id-7", b"1", None, None]),
        "flush that starts children": _flush(children=parents),
        "flush of ends of children": _flush(ends=called),
        "flush of ends of parents": _flush(ends=parents),
        "flush of waits that are over": _flush(over=parents),
        "called": ("called", [parents, ["call-1"] * len(parents)]),
        "cancel a child": ("cancel", [called[0], "no longer needed", True, "ann"]),
    }


def _looks(ids: list[UUID], addresses: list[str], position: int) -> list[object]:
    each = len(ids)
    among = [f'[{{"name": "paid", "address": "{one}"}}]' for one in addresses]
    return [ids, ["wait"] * each, ["paid"] * each, addresses, [position] * each, [None] * each, among]


def _flush(
    *, over: list[UUID] | None = None, ends: list[UUID] | None = None, children: list[UUID] | None = None
) -> tuple[str, list[object]]:
    over, ends, children = over or [], ends or [], children or []
    n, m, k = len(over), len(ends), len(children)
    checkpoints = [over, ["wait"] * n, ["wait"] * n, [7] * n, [False] * n, [b"1"] * n]
    attempts: list[object] = [[], [], [], [], []]
    none = [None] * m
    endings = [ends, ["completed"] * m, none, [b"1"] * m, none, none, [""] * m, [0] * m, [False] * m]
    names = [["order"] * k, ["default"] * k, [b"{}"] * k]
    born = [[uuid4() for _ in children], *names, children, ["new"] * k, [True] * k, [""] * k]
    return "flush", [SESSION, *checkpoints, *attempts, *endings, *born, [False] * m]


@pytest.fixture(scope="module")
def plans(admin: Admin, server_url: str, template: str) -> Iterator[dict[tuple[str, str], Plan]]:
    """What each statement did, in both states."""
    found: dict[tuple[str, str], Plan] = {}
    with fresh_database(admin, server_url, template) as url, psycopg.connect(url, autocommit=True) as raw:
        engine = Engine(url)
        for name, values in _calls({"waiting": [SESSION], "parents": [], "called": [SESSION]}).values():
            engine.explain(name, *values)
        raw.execute(FILL.encode())
        known = {
            "waiting": _some(raw, "status = 'waiting' and parent_id is null"),
            "parents": _some(raw, "status = 'running' and parent_id is null"),
            "called": _some(raw, "status = 'running' and is_called"),
        }
        for state in STATES:
            if state == "analysed":
                raw.execute("analyze")
            for what, (name, values) in _calls(known).items():
                found[state, what] = engine.explain(name, *values)
        engine.close()
        yield found


def _some(raw: psycopg.Connection[tuple[UUID]], which: str) -> list[UUID]:
    rows = raw.execute(f"select id from stepwell.execution where {which} order by id limit 100".encode()).fetchall()
    return [id for (id,) in rows]


each_state = pytest.mark.parametrize("state", STATES)
each_statement = pytest.mark.parametrize("what", MOST_PAGES)


@each_state
@each_statement
def test_waits_and_topics_are_read_by_index_only(plans: dict[tuple[str, str], Plan], state: str, what: str) -> None:
    found = scans(plans[state, what], *TABLES)

    assert found
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan"}


@each_state
@each_statement
def test_waiting_touches_few_pages(plans: dict[tuple[str, str], Plan], state: str, what: str) -> None:
    """F90: 100,000 wait, each for a topic of its own; one topic has 100,000 events."""
    plan = plans[state, what]

    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < MOST_PAGES[what]


@each_state
@each_statement
def test_work_grows_with_the_rows_and_not_with_their_square(
    plans: dict[tuple[str, str], Plan], state: str, what: str
) -> None:
    """Our connections rule hash joins out: a join of two parts of a statement compares each row with each."""
    compared = [
        (node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0)) * node["Actual Loops"]
        for node in nodes(plans[state, what])
    ]

    assert max(compared) <= 3_000


@each_state
def test_look_reads_no_event_but_the_one_it_answers_with(plans: dict[tuple[str, str], Plan], state: str) -> None:
    """A topic grows for years; each execution reads on from where it was."""
    for what in ("look, and find", "look at the end of a long topic"):
        (scan,) = scans(plans[state, what], "event")

        assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= 1
