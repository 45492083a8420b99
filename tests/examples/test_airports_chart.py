"""The report's chart is one well-formed picture of every airport there is."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart import HEIGHT, WIDTH, colour, draw, loneliest, projected
from report import StoredAirport

SVG = "{http://www.w3.org/2000/svg}"


def place(name: str, *, country: str = "Belgium", latitude: float = 50.0, distance_km: float = 10.0) -> StoredAirport:
    return StoredAirport("EBBR", "BRU", name, country, "Flanders", latitude, 4.0, "Brussels", 1_000_000, distance_km)


@given(st.lists(st.builds(place, st.text("<&>'\"é", min_size=1), distance_km=st.floats(0, 20_000)), max_size=20))
def test_whatever_the_names_the_picture_is_well_formed_and_has_a_dot_for_each(places: list[StoredAirport]) -> None:
    picture = ElementTree.fromstring(draw(places))

    dots = sum(path.get("d", "").count("h0") for path in picture.iter(f"{SVG}path"))

    assert dots == len(places)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_place_on_earth_lies_inside_the_picture(latitude: float, longitude: float) -> None:
    x, y = projected(latitude, longitude)

    assert 0 <= x <= WIDTH
    assert 0 <= y <= HEIGHT


def test_north_is_up_and_east_is_right() -> None:
    x, y = projected(0, 0)
    north, east = projected(60, 0), projected(0, 90)

    assert north[1] < y
    assert east[0] > x


@pytest.mark.parametrize("distance_km", [0, 49.9, 50, 999.9, 1_000, 20_000])
def test_every_distance_has_a_colour(distance_km: float) -> None:
    assert colour(distance_km).startswith("#")


def test_a_country_sends_only_its_loneliest_airport() -> None:
    near, far = place("Near", distance_km=5), place("Far", distance_km=500)
    elsewhere = place("Elsewhere", country="Tuvalu", distance_km=3_000)

    assert loneliest([near, far, elsewhere]) == [elsewhere, far]
