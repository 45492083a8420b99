"""The report on what is stored: a CSV and a chart.

Each file is replaced as a whole, so a step that is cut and writes it again does no harm.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.rows import class_row

import chart


@dataclass(frozen=True, slots=True)
class StoredAirport:
    """One row of the application's table."""

    icao: str
    iata: str
    name: str
    country: str
    region: str
    latitude: float
    longitude: float
    city: str
    city_population: int
    city_distance_km: float


COLUMNS = tuple(field.name for field in fields(StoredAirport))


def stored_airports(connection: psycopg.Connection[Any]) -> list[StoredAirport]:
    """Every row there is, duplicates included, in the order of the ICAO codes."""
    with connection.cursor(row_factory=class_row(StoredAirport)) as cursor:
        cursor.execute(f"select {', '.join(COLUMNS)} from airports_demo.airport order by icao, id")
        return cursor.fetchall()


def write_csv(connection: psycopg.Connection[Any], directory: str) -> str:
    """Write airports.csv and return its path."""
    path = Path(directory, "airports.csv")
    with replacing(path) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(astuple(airport) for airport in stored_airports(connection))
    return str(path)


def draw_chart(connection: psycopg.Connection[Any], directory: str) -> str:
    """Draw airports.svg and return its path."""
    path = Path(directory, "airports.svg")
    with replacing(path) as file:
        file.write(chart.draw(stored_airports(connection)))
    return str(path)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A file that takes the place of `path` once it is complete; a reader sees the old one or the new one."""
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        yield file
    draft.replace(path)
