"""The engine with one rule taken out. A checker that finds nothing wrong with these proves nothing of the engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from stepwell.store import statements
from stepwell.store.statements import DEFAULT_SCHEMA, Statement

Changes = dict[str, list[tuple[str, str]]]  # statement: (what it says, what the mutant says)

_SERVER = "server_started_at = pg_postmaster_start_time()"
_SESSION = (f"select id from stepwell.worker where id = $1::uuid and {_SERVER} for key share", "select $1::uuid as id")
_OWNER = ("where (select x.owner from stepwell.execution x where x.id = n.execution_id)", "where me.id")
_OWNER_OF_ONE = ("where (select x.owner from stepwell.execution x where x.id = $2::uuid)", "where me.id")

# In time a worker hears that its session has ended, and stops by itself. A mutant that does not hear it needs no luck.
_DEAF: Changes = {
    "beat": [
        (
            "update stepwell.worker set expires_at = now() + $2::float8 * interval '1 second'\nwhere id = $1::uuid\n",
            "",
        ),
        (f"returning case when {_SERVER}", "select case when true"),
        ("x.is_told", "x.is_told and $2::float8 > 0"),
    ],
    "claim": [
        (
            f"from stepwell.worker\n    where id = $1::uuid and {_SERVER} and expires_at > now()\n      and (",
            "from (select $1::uuid as id) w\n    where (",
        ),
        ("\n    for key share skip locked", ""),
        (
            "exists (select from stepwell.worker\n"
            f"                             where id = $1::uuid and {_SERVER} and expires_at > now())",
            "true",
        ),
    ],
}

MUTANTS: dict[str, Changes] = {
    "writes are not fenced": {
        **_DEAF,
        "checkpoint": [_SESSION, _OWNER],
        "checkpoint_one": [_SESSION, _OWNER_OF_ONE],
        "complete": [_SESSION, _OWNER, ("and x.owner is not distinct from me.id", "")],
        "complete_one": [_SESSION, ("and x.owner is not distinct from me.id", "")],
        "flush": [_SESSION, _OWNER, ("and x.owner is not distinct from me.id", "")],
    },
    "transactions are not fenced": {
        **_DEAF,
        "record": [
            ("select w.id from stepwell.worker w join stepwell.execution x on x.owner = w.id", "select $1::uuid as id"),
            (f"where w.id = $1::uuid and w.{_SERVER} and x.id = $2::uuid", ""),
            ("for key share of w for share of x", ""),
        ],
    },
    "leases are judged by a clock that is two hours fast": {
        "reap": [("expires_at < now() ", "expires_at < now() + interval '2 hours' ")],
    },
    "claims take what others run": {
        "claim": [
            (
                "and e.due_at >= $5::timestamptz and e.due_at <= now() and e.paused_at is null and e.crashes < 2\n",
                "and e.finished_at is null\n",
            ),
            ("e.due_at >= $5::timestamptz and e.paused_at is null and e.crashes < 2", "e.due_at >= $5::timestamptz"),
        ],
    },
}


def plant(mutant: str) -> None:
    """Make every statement loaded from now on that of the mutant. To be called before the store is imported."""
    statements.statement = _mutated(MUTANTS[mutant], statements.statement)  # type: ignore[assignment]


def _mutated(changes: Changes, original: Callable[[str, str], Statement]) -> Callable[[str, str], Statement]:
    @cache
    def statement(name: str, schema: str = DEFAULT_SCHEMA) -> Statement:
        found = original(name, schema)
        text = found.text.decode()
        for says, mutant_says in changes.get(name, []):
            assert says in text, f"{name}.sql has changed; the mutant must follow it: {says}"
            text = text.replace(says, mutant_says)
        return found._replace(text=text.encode())

    return statement
