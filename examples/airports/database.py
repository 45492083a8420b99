"""What the demo reads from the database by itself: the application's table, and the engine's documented views."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row

from data import Enrichment

TABLES = Path(__file__).with_name("tables.sql")
SETTLE_SECONDS = 10.0  # a killed worker's last statements are given so long; those that take longer go uncounted

UNFINISHED = """
select id::text from stepwell.executions
where workflow in ('import-airports', 'airports-report') and status in ('pending', 'running', 'waiting')
"""
# Item 17 of the map `enrich` is the step enrich/#17.
ENRICHED = """
select split_part(step, '#', 2)::int from stepwell.steps
where execution_id = %s and step like 'enrich/#%%' and state = 'completed'
"""
# An attempt that failed after the result was stored would be no excuse for anything, but a fault of its own.
FAILED = """
select split_part(f.step, '#', 2)::int, f.attempt::int from stepwell.steps f
where f.execution_id = %s and f.step like 'enrich/#%%' and f.state = 'attempt failed' and not exists (
    select from stepwell.steps c
    where c.execution_id = f.execution_id and c.step = f.step and c.state = 'completed'
      and c.recorded_at <= f.recorded_at)
"""
STEPS = """
select count(*) from stepwell.steps
where execution_id = any(%s::uuid[]) and state = 'completed' and kind <> 'map'  -- its items are counted one by one
"""
REPORTS = """
select id::text from stepwell.executions
where workflow = 'airports-report' and created_at >= (select created_at from stepwell.executions where id = %s)
"""
WHY = """
select workflow || ' is ' || status || coalesce(': ' || why, '') from stepwell.executions
where id = any(%s::uuid[]) order by id
"""
IN_FLIGHT = """
select count(*) from pg_stat_activity
where application_name = 'stepwell' and state <> 'idle' and pid <> pg_backend_pid()
"""


class Database:
    """One connection of the demo's own."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, application_name="airports-demo")

    def make_tables(self) -> None:
        """Begin with empty tables."""
        self._connection.execute(TABLES.read_bytes())

    def unfinished(self) -> list[str]:
        """Executions that an earlier demo left behind."""
        return self._column(UNFINISHED)

    def has_ended(self, execution_id: str) -> bool:
        """Whether the execution is completed. Raises `RuntimeError` when it ended otherwise."""
        status, why = self._row("select status, why from stepwell.executions where id = %s", execution_id)
        if status in ("failed", "cancelled"):
            raise RuntimeError(f"execution {execution_id} is {status}: {why}")
        return bool(status == "completed")

    def rows(self) -> int:
        """Rows in the application's table."""
        return int(self._value("select count(*) from airports_demo.airport"))

    def enriched(self, execution_id: str) -> list[int]:
        """The airports whose enrich step has a stored result, by their position in the import."""
        return self._column(ENRICHED, execution_id)

    def failed_attempts(self, execution_id: str) -> list[tuple[int, int]]:
        """(Position of the airport, number of the attempt) of each failed attempt of an enrich step."""
        return self._connection.execute(FAILED.encode(), [execution_id]).fetchall()

    def why(self, execution_ids: list[str]) -> list[str]:
        """Where these executions are and why they are not moving, in the engine's words."""
        return self._column(WHY, execution_ids)

    def steps(self, execution_ids: list[str]) -> int:
        """Steps whose result is stored, of all these executions."""
        return int(self._value(STEPS, execution_ids))

    def reports(self, execution_id: str) -> list[str]:
        """Executions of the report that were started since this import was."""
        return self._column(REPORTS, execution_id)

    def stored(self) -> list[tuple[str, Enrichment]]:
        """Every row of the application's table, as what the vendor must have said about that airport."""
        codes = self._column("select icao from airports_demo.airport order by id")
        with self._connection.cursor(row_factory=class_row(Enrichment)) as cursor:
            cursor.execute(
                "select country, region, city, city_population, city_distance_km from airports_demo.airport order by id"
            )
            return list(zip(codes, cursor.fetchall(), strict=True))

    def settle(self) -> None:
        """Wait until nothing is in flight that a killed worker has sent; the server carries that out."""
        limit = time.monotonic() + SETTLE_SECONDS
        while self._value(IN_FLIGHT) and time.monotonic() < limit:
            time.sleep(0.05)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def _value(self, statement: str, *parameters: Any) -> Any:
        cursor = self._connection.cursor(row_factory=scalar_row)
        return cursor.execute(statement.encode(), parameters).fetchone()

    def _row(self, statement: str, *parameters: Any) -> Any:
        return self._connection.execute(statement.encode(), parameters).fetchone()

    def _column(self, statement: str, *parameters: Any) -> list[Any]:
        cursor = self._connection.cursor(row_factory=scalar_row)
        return cursor.execute(statement.encode(), parameters).fetchall()
