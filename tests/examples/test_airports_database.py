"""What the demo reads from the engine's views is what happened, and a fault of the engine would be seen there."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from database import Database
from stepwell import App, ExecutionFailed, Permanent, Retry, Step


@pytest.fixture
async def execution(database_url: str) -> str:
    """An execution that has enriched three airports; the one at position 1 took three attempts."""
    calls: Counter[str] = Counter()

    async def enrich(airport: str) -> str:
        calls[airport] += 1
        if airport == "EBAW" and calls[airport] < 3:
            raise TimeoutError
        return airport.lower()

    async with App(database_url) as app:

        @app.workflow
        async def import_airports(step: Step) -> None:
            await step(retry=Retry(3, first_delay="1ms")).map("enrich", enrich, ["EBBR", "EBAW", "EBOS"])

        handle = await app.start(import_airports)
        async with app.worker():
            await handle.result("20s")
    return str(handle.id)


def test_enriched_airports_and_failed_attempts_are_known_by_position(database_url: str, execution: str) -> None:
    with Database(database_url) as database:
        assert sorted(database.enriched(execution)) == [0, 1, 2]
        assert sorted(database.failed_attempts(execution)) == [(1, 1), (1, 2)]
        assert database.has_ended(execution)
        assert database.unfinished() == []


def test_an_attempt_that_failed_after_the_result_was_stored_excuses_nothing(database_url: str, execution: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into stepwell.attempt (execution_id, key, attempt, retry_at, error)"
            " values (%s, 'enrich/#2', 1, now(), '{}')",
            [execution],
        )

    with Database(database_url) as database:
        assert sorted(database.failed_attempts(execution)) == [(1, 1), (1, 2)]


async def test_an_execution_says_why_it_stands_still_or_has_failed(database_url: str) -> None:
    async with App(database_url) as app:

        @app.workflow
        async def import_airports() -> None:
            raise Permanent("no such airport")

        handle = await app.start(import_airports)
        execution = str(handle.id)
        with Database(database_url) as database:
            assert database.unfinished() == [execution]
            assert database.why([execution]) == ["import-airports is pending: no worker has this workflow"]
        async with app.worker():
            with pytest.raises(ExecutionFailed):
                await handle.result("20s")

    with Database(database_url) as database, pytest.raises(RuntimeError, match=r"failed: .*no such airport"):
        database.has_ended(execution)
