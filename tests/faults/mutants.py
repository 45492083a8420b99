"""The engine with one rule taken out. A checker that finds nothing wrong with these proves nothing of the engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from stepwell.store import statements
from stepwell.store.statements import DEFAULT_SCHEMA, Statement

# mutant: statement: (what it says, what the mutant says)
MUTANTS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "a flush without the fence": {
        "flush": [
            ("select id from stepwell.worker where id = $1::uuid for key share", "select $1::uuid as id"),
            ("where (select x.owner from stepwell.execution x where x.id = n.execution_id)", "where me.id"),
            ("and x.owner is not distinct from me.id", ""),
        ]
    },
    "a transaction without the fence": {
        "record": [
            (
                "select w.id from stepwell.worker w join stepwell.execution x on x.owner = w.id\n"
                "    where w.id = $1::uuid and x.id = $2::uuid\n"
                "    for key share of w for share of x",
                "select $1::uuid as id",
            )
        ]
    },
    "a reaper that goes by its own clock": {
        "reap": [("expires_at < now() ", "expires_at < now() + interval '2 hours' ")],
    },
    "a claim that takes what others run": {
        "claim": [
            ("where e.queue = q.name and e.due_at >= $5::timestamptz and e.due_at <= now() and e.crashes < 2",
             "where e.queue = q.name and $5::timestamptz is not null and e.finished_at is null and e.crashes < 2"),
        ],
    },
}  # fmt: skip


def plant(mutant: str) -> None:
    """Make every statement loaded from now on that of the mutant. To be called before the store is imported."""
    statements.statement = _mutated(MUTANTS[mutant], statements.statement)  # type: ignore[assignment]


def _mutated(
    changes: dict[str, list[tuple[str, str]]], original: Callable[[str, str], Statement]
) -> Callable[[str, str], Statement]:
    @cache
    def statement(name: str, schema: str = DEFAULT_SCHEMA) -> Statement:
        found = original(name, schema)
        text = found.text.decode()
        for says, mutant_says in changes.get(name, []):
            assert says in text, f"{name}.sql has changed; the mutant must follow it: {says}"
            text = text.replace(says, mutant_says)
        return found._replace(text=text.encode())

    return statement
