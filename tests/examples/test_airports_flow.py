"""The airports example with its worker killed at every write: each airport is stored once, and there is one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flows
from data import Airport, Enrichment
from flows import Report, airports_report, import_airports
from stepwell import RetryAfter, current_step
from stepwell.testing import Effects, assert_durable, running

INPUT = {"limit": 60, "directory": "out"}

world = Effects()


async def enrich(airport: Airport) -> Enrichment:
    """The vendor: one piece of work for each idempotency key, and too many calls at first."""
    step = current_step()
    if step.attempt == 1 and airport.icao.endswith("A"):
        raise RetryAfter("1h")
    world.add(f"the vendor worked on {airport.icao}", key=step.idempotency_key)
    return Enrichment(airport.country, airport.region, "Reykjavik", 136_000, 3.5)


async def store(connection: Any, batch: Sequence[tuple[Airport, Enrichment]]) -> None:
    """The table: what is added in a transaction is there when it has committed."""
    for airport, _ in batch:
        world.add(f"{airport.icao} is stored")


FAKES = {"enrich": enrich, "store": store, "write-csv": "airports.csv", "draw-chart": "airports.svg"}


async def test_every_airport_is_stored_once_wherever_the_worker_dies() -> None:
    found = await assert_durable(
        import_airports, INPUT, effects=world, fakes=FAKES, by=lambda imported: imported.airports
    )

    assert found.result.airports == 60
    assert found.repeated == {}
    assert len(world) == 120


def test_the_report_is_started_by_the_last_step() -> None:
    with running(flows.app) as lab:
        for name, outcome in FAKES.items():
            lab.fake(name, outcome)

        imported = flows.app.sync.start(import_airports, INPUT).result()

        assert flows.app.sync.result(imported.report_id) == Report("airports.csv", "airports.svg")
        assert {one.workflow for one in flows.app.sync.list()} == {import_airports.id, airports_report.id}
