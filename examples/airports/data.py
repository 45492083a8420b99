"""The airports of the world, as the flow takes them in and as it leaves them behind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import airportsdata

PAGE_SIZE = 1_000  # airports per page: about 150 kB as JSON, far below the limit for one step's result


@dataclass(frozen=True, slots=True)
class Airport:
    """One airport as the source has it. `region` is the source's own spelling and may be empty."""

    icao: str
    iata: str
    name: str
    country: str
    region: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What the vendor knows about the place of an airport."""

    country: str
    region: str
    city: str
    city_population: int
    city_distance_km: float


@cache
def load_airports() -> tuple[Airport, ...]:
    """Every airport of the source, in the order of its ICAO code, each code once."""
    source = airportsdata.load()
    return tuple(
        Airport(
            icao=icao,
            iata=entry["iata"],
            name=entry["name"],
            country=entry["country"],
            region=entry["subd"],
            latitude=entry["lat"],
            longitude=entry["lon"],
        )
        for icao, entry in sorted(source.items())
    )


def retrieve(page: int) -> list[Airport]:
    """One page of the source, counted from 0; empty after the last one."""
    return list(load_airports()[page * PAGE_SIZE : (page + 1) * PAGE_SIZE])
