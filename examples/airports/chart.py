"""The report's picture: every airport on a map of the world, the countries that have most, and the loneliest ones.

An SVG is text, so this needs no drawing library. The continents are drawn by their airports alone.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Protocol

WIDTH, HEIGHT = 1600, 1310
MAP_TOP, MAP_HEIGHT = 120, 740
TABLES_TOP = 955
LEFT, RIGHT = 60, 840  # where the two tables below the map begin
TABLE_WIDTH = 700
ROW_HEIGHT = 15.5
ROWS = 20

DISTANCES_KM = (0, 50, 100, 250, 500, 1_000, math.inf)
COLOURS = ("#2f5d8c", "#3f8fb0", "#58c4b0", "#b7e37a", "#ffc14d", "#ff6b57")
LABELS = ("under 50 km", "50-100", "100-250", "250-500", "500-1,000", "over 1,000 km")

STYLE = """
text { font-family: 'Inter', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; fill: #c8d3e5; font-size: 12.5px }
.title { font-size: 34px; font-weight: 600; fill: #ffffff }
.subtitle { font-size: 16px; fill: #8fa1bd }
.heading { font-size: 17px; font-weight: 600; fill: #ffffff }
.note { font-size: 11.5px; fill: #71829e }
.number { font-variant-numeric: tabular-nums; fill: #ffffff }
.dots { fill: none; stroke-linecap: round; stroke-opacity: 0.85 }
.grid { fill: none; stroke: #1d2a42; stroke-width: 1 }
"""


class Place(Protocol):
    """What the chart needs to know of an airport."""

    @property
    def name(self) -> str: ...
    @property
    def country(self) -> str: ...
    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...
    @property
    def city_distance_km(self) -> float: ...


def draw(places: Sequence[Place]) -> str:
    """The whole picture as the text of an SVG file."""
    countries = Counter(place.country for place in places)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#0b1324"/>',
        text(LEFT, 62, "The airports of the world", kind="title"),
        text(
            LEFT,
            92,
            f"{len(places):,} airports in {len(countries)} countries and territories, coloured by the distance"
            " to the nearest city of 100,000 people",
            kind="subtitle",
        ),
        graticule(),
        *dots(places),
        legend(),
        *country_table(countries.most_common(ROWS)),
        *loneliest_table(loneliest(places)[:ROWS]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def projected(latitude: float, longitude: float) -> tuple[float, float]:
    """Where a place lies in the picture, by the Equal Earth projection (Šavrič, Patterson, Jenny 2018)."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    square = theta * theta
    sixth = square**3
    slope = 1.340264 + 3 * -0.081106 * square + sixth * (7 * 0.000893 + 9 * 0.003796 * square)
    x = 2 * math.sqrt(3) / 3 * math.radians(longitude) * math.cos(theta) / slope
    y = theta * (1.340264 - 0.081106 * square + sixth * (0.000893 + 0.003796 * square))
    scale = MAP_HEIGHT / (2 * 1.3173627591574)
    return WIDTH / 2 + x * scale, MAP_TOP + MAP_HEIGHT / 2 - y * scale


def graticule() -> str:
    meridians = (
        [projected(latitude, longitude) for latitude in range(-90, 91, 5)] for longitude in range(-180, 181, 30)
    )
    parallels = ([projected(latitude, longitude) for longitude in (-180, 180)] for latitude in range(-90, 91, 30))
    return "".join(f'<path class="grid" d="{line(points)}"/>' for points in (*meridians, *parallels))


def line(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def dots(places: Iterable[Place]) -> Iterable[str]:
    """One path per colour, each dot a line of no length with round ends; the loneliest airports are drawn last."""
    marks: defaultdict[str, list[str]] = defaultdict(list)
    for place in places:
        x, y = projected(place.latitude, place.longitude)
        marks[colour(place.city_distance_km)].append(f"M{x:.1f} {y:.1f}h0")
    for position, hue in enumerate(COLOURS):
        size = 1.9 + 0.3 * position
        yield f'<path class="dots" stroke="{hue}" stroke-width="{size:.1f}" d="{"".join(marks[hue])}"/>'


def colour(distance_km: float) -> str:
    return next(
        hue for (low, high), hue in zip(pairwise(DISTANCES_KM), COLOURS, strict=True) if low <= distance_km < high
    )


def legend() -> str:
    entries = []
    for position, (hue, label) in enumerate(zip(COLOURS, LABELS, strict=True)):
        x, y = WIDTH / 2 - 390 + position * 130, TABLES_TOP - 65
        entries.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{hue}"/>' + text(x + 12, y, label))
    return "".join(entries)


def country_table(countries: Sequence[tuple[str, int]]) -> Iterable[str]:
    """Counts on a logarithmic scale: on a linear one the first country would leave the others no room."""
    yield text(LEFT, TABLES_TOP, f"The {len(countries)} countries with most airports", kind="heading")
    yield text(LEFT + TABLE_WIDTH, TABLES_TOP, "logarithmic scale", kind="note", anchor="end")
    most = max((count for _, count in countries), default=1)
    for row, (country, count) in enumerate(countries):
        share = math.log10(count) / math.log10(most) if most > 1 else 1.0
        yield bar(row, LEFT, label=country, value=f"{count:,}", share=share, hue=COLOURS[2])


def loneliest(places: Iterable[Place]) -> list[Place]:
    """Of each country the airport that is furthest from any large city, the furthest first."""
    of_country: dict[str, Place] = {}
    for place in sorted(places, key=lambda place: (-place.city_distance_km, place.name)):
        of_country.setdefault(place.country, place)
    return list(of_country.values())


def loneliest_table(places: Sequence[Place]) -> Iterable[str]:
    yield text(RIGHT, TABLES_TOP, f"The loneliest airport of a country: the first {len(places)}", kind="heading")
    yield text(RIGHT + TABLE_WIDTH, TABLES_TOP, "km to the nearest large city", kind="note", anchor="end")
    furthest = max((place.city_distance_km for place in places), default=1.0) or 1.0
    for row, place in enumerate(places):
        yield bar(
            row,
            RIGHT,
            label=f"{place.name}, {place.country}",
            value=f"{place.city_distance_km:,.0f}",
            share=place.city_distance_km / furthest,
            hue=COLOURS[5],
        )


def bar(row: int, left: float, *, label: str, value: str, share: float, hue: str) -> str:
    """A line of a table: what it is, how much, and a bar of that share of the room."""
    y = TABLES_TOP + 24 + row * ROW_HEIGHT
    start, room = left + 335, TABLE_WIDTH - 335
    short = label if len(label) <= 42 else label[:41].rstrip() + "…"
    return (
        text(left, y, short)
        + text(start - 10, y, value, kind="number", anchor="end")
        + f'<rect x="{start}" y="{y - 8}" width="{room * share:.1f}" height="7" rx="3.5" fill="{hue}"/>'
    )


def text(x: float, y: float, content: str, *, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'
