"""The flow: retrieve the airports, enrich each through the vendor's API, store them, start the report.

AIRPORTS_VENDOR_URL=http://127.0.0.1:8765 stepwell worker flows.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from data import PAGE_SIZE, Airport, Enrichment, retrieve
from report import COLUMNS, draw_chart, write_csv
from stepwell import App, Retry, Step
from vendor_api import enrich

BATCH_SIZE = 50  # rows per transaction

app = App()


@dataclass(frozen=True, slots=True)
class Imported:
    airports: int
    report_id: str  # the execution of `airports_report` that the last step started


@dataclass(frozen=True, slots=True)
class Report:
    csv: str
    chart: str


@app.workflow
async def import_airports(limit: int, directory: str, step: Step) -> Imported:
    """Import the first `limit` airports; the report is written into `directory`."""
    airports: list[Airport] = []
    while len(airports) < limit and (page := await step.run("retrieve", retrieve, len(airports) // PAGE_SIZE)):
        airports += page
    airports = airports[:limit]
    enrichments = await step(retry=Retry(max_attempts=20)).map("enrich", enrich, airports, concurrency=64)
    enriched = list(zip(airports, enrichments, strict=True))
    for start in range(0, len(enriched), BATCH_SIZE):
        await step.transaction("store", store, enriched[start : start + BATCH_SIZE])
    report_id = await step.transaction("start-report", start_report, directory)
    return Imported(len(airports), report_id)


@app.workflow
async def airports_report(directory: str, step: Step) -> Report:
    """Write the report on what is stored."""
    return Report(
        csv=await step.transaction("write-csv", write_csv, directory),
        chart=await step.transaction("draw-chart", draw_chart, directory),
    )


async def store(connection: psycopg.AsyncConnection[Any], batch: Sequence[tuple[Airport, Enrichment]]) -> None:
    """Insert plainly: these rows commit together with the step's checkpoint, or not at all."""
    # The vendor's names of the country and region take the place of the source's.
    rows = [asdict(airport) | asdict(enrichment) for airport, enrichment in batch]
    placeholders = ", ".join(f"%({column})s" for column in COLUMNS)
    async with connection.cursor() as cursor:
        await cursor.executemany(
            f"insert into airports_demo.airport ({', '.join(COLUMNS)}) values ({placeholders})", rows
        )


async def start_report(connection: psycopg.AsyncConnection[Any], directory: str) -> str:
    """Start the report in this step's own transaction: it exists if and only if this step is done."""
    handle = await app.start(airports_report, directory, connection=connection)
    return str(handle.id)
