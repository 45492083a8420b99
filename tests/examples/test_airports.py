"""The airports example: its source, what the vendor sells and how it behaves, and its ledger."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import PAGE_SIZE, Airport, Enrichment, load_airports, retrieve
from geography import City, CityIndex, Geography, UnknownCountry, folded, unit_vector
from ledger import Entry, Kind, Ledger, LedgerReader, Outcome, read_ledger
from service import TokenBucket, Weather

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


# --- the source ---------------------------------------------------------------------------------------------------


def test_every_airport_has_a_code_of_its_own_and_a_place_on_earth() -> None:
    airports = load_airports()

    assert len(airports) > 28_000
    assert len({airport.icao for airport in airports}) == len(airports)
    assert all(abs(airport.latitude) <= 90 and abs(airport.longitude) <= 180 for airport in airports)


def test_pages_hold_every_airport_once() -> None:
    pages = math.ceil(len(load_airports()) / PAGE_SIZE)

    retrieved = [airport for page in range(pages) for airport in retrieve(page)]

    assert retrieved == list(load_airports())


# --- the vendor's knowledge ---------------------------------------------------------------------------------------


def city_at(latitude: float, longitude: float) -> City:
    return City(f"{latitude}/{longitude}", 100_000, latitude, unit_vector(latitude, longitude))


@given(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=30), latitudes, longitudes)
def test_no_city_is_nearer_than_the_nearest(
    places: list[tuple[float, float]], latitude: float, longitude: float
) -> None:
    cities = [city_at(*place) for place in places]
    here = unit_vector(latitude, longitude)

    nearest, distance_km = CityIndex(cities).nearest(latitude, longitude)

    closest = max(dot(here, city.point) for city in cities)
    assert dot(here, nearest.point) == pytest.approx(closest, abs=1e-12)
    assert 0 <= distance_km <= 20_016


def dot(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_nearest_city_may_lie_across_the_date_line() -> None:
    suva, nome = city_at(-18.1, 178.4), city_at(-10.0, -150.0)

    nearest, distance_km = CityIndex([suva, nome]).nearest(-18.0, -179.0)

    assert nearest is suva
    assert distance_km == pytest.approx(275, abs=5)


def test_an_index_without_cities_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one city"):
        CityIndex([])


@pytest.fixture(scope="module")
def geography() -> Geography:
    return Geography()


def airport(*, country: str = "IS", region: str = "Capital Region") -> Airport:
    return Airport("BIRK", "RKV", "Reykjavik Airport", country, region, 64.13, -21.9406)


def test_an_airport_gets_its_country_and_its_nearest_large_city(geography: Geography) -> None:
    answer = geography.describe(airport())

    assert answer.country == "Iceland"
    assert answer.city == "Reykjavík"
    assert answer.city_population >= 100_000
    assert answer.city_distance_km < 5


def test_a_region_gets_its_official_spelling_or_keeps_the_given_one(geography: Geography) -> None:
    official = geography.describe(airport(country="CL", region="Los-Rios"))
    unknown = geography.describe(airport(country="CL", region="Nowhere"))

    assert official.region == "Los Ríos"
    assert unknown.region == "Nowhere"


def test_every_airport_of_the_source_can_be_described(geography: Geography) -> None:
    assert all(geography.describe(each).country for each in load_airports()[::50])
    assert {each.country for each in load_airports()} <= geography.countries


def test_a_country_that_nobody_knows_is_refused_by_its_code(geography: Geography) -> None:
    with pytest.raises(UnknownCountry, match="'ZZ'"):
        geography.describe(airport(country="ZZ"))


def test_names_agree_without_accents_case_and_hyphens() -> None:
    assert folded("Valparaíso") == folded("VALPARAISO")
    assert folded("Los-Lagos") == folded("Los Lagos")


# --- the vendor's manners -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_airports_the_same_trouble() -> None:
    first, again, other = Weather(seed=1), Weather(seed=1), Weather(seed=2)
    codes = [airport.icao for airport in load_airports()]

    troubles = [first.outcome(code, 1) for code in codes]

    assert troubles == [again.outcome(code, 1) for code in codes]
    assert troubles != [other.outcome(code, 1) for code in codes]


def test_trouble_is_as_frequent_as_it_says() -> None:
    codes = [airport.icao for airport in load_airports()]
    weather = Weather(seed=3)

    outcomes = [weather.outcome(code, 1) for code in codes]

    for outcome, share in ((Outcome.UNAVAILABLE, 0.005), (Outcome.LATE, 0.002), (Outcome.LOST, 0.005)):
        assert outcomes.count(outcome) / len(codes) == pytest.approx(share, rel=0.4)


@given(st.lists(st.floats(0, 2), max_size=200), st.integers(1, 50))
def test_a_bucket_never_lets_more_through_than_its_rate_and_one_second_of_savings(
    pauses: list[float], per_second: int
) -> None:
    bucket, now, taken = TokenBucket(per_second, now=0.0), 0.0, 0

    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0

    assert taken <= per_second * (1 + now) + 1e-6


def test_a_refused_call_goes_through_after_the_wait_it_was_told() -> None:
    bucket = TokenBucket(4, now=0.0)
    while (wait := bucket.take(0.0)) == 0.0:
        pass

    assert bucket.take(wait * 0.9) > 0
    assert bucket.take(wait * 1.1) == 0.0


# --- the ledger ---------------------------------------------------------------------------------------------------


ANSWER = Enrichment("Belgium", "Flanders", "Brussels", 1_019_022, 4.5)


def call(
    number: int, *, at: float, kind: Kind = Kind.WORK, outcome: Outcome = Outcome.ANSWERED, airport: str = ""
) -> Entry:
    code = airport or f"AP{number:02}"
    answer = None if kind is Kind.REFUSED else replace(ANSWER, city=code)
    return Entry(f"key-{number}", code, "worker/1", 1, kind, outcome, at, at + 0.02, answer)


def test_what_the_ledger_took_is_read_back_as_it_was(tmp_path: Path) -> None:
    entries = [call(1, at=1.5), call(1, at=2.5, kind=Kind.REFUSED, outcome=Outcome.RATE_LIMITED)]

    with Ledger(tmp_path / "ledger") as ledger:
        for entry in entries:
            ledger.append(entry)

    assert read_ledger(tmp_path / "ledger") == entries


def test_a_reader_leaves_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        ledger.append(call(1, at=1.0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:10])
    reader = LedgerReader(path)

    before = list(reader.new_entries())
    path.write_bytes(whole + whole)
    after = list(reader.new_entries())

    assert (len(before), len(after)) == (1, 1)


def test_a_ledger_that_was_never_begun_is_empty(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "nothing") == []
