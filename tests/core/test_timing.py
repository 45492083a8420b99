"""Ticks: the same for everybody who asks, always later, and right on the days on which clocks change (F92)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.timing import Cron, Every, Timing
from stepwell.errors import InvalidOption

BRUSSELS = "Europe/Brussels"
AUTUMN, SPRING = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)  # clocks change at 01:00
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# half an hour of summer time; a whole day left out; clocks that change at midnight; no summer time at all
ZONES = (BRUSSELS, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Asia/Beirut", "UTC")
EXPRESSIONS = (
    "30 2 * * *", "0 6 * * 1-5", "*/15 2 * * *", "0 * * * *", "*/20 * * * *", "0 */2 * * *", "15 0-3 * * *",
    "0 0 * * *", "0 12 30 12 *", "0 0 L * *", "30 1 * 10 SUN", "5 * 29 2 *",
)  # fmt: skip

crons = st.builds(Cron, st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES))
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=400)).map(Every)
timings: st.SearchStrategy[Timing] = crons | intervals
moments = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
# near the changes of some zone's clocks more is decided than elsewhere
changes = st.sampled_from((AUTUMN, SPRING, datetime(2026, 4, 4, tzinfo=UTC), datetime(2011, 12, 30, tzinfo=UTC)))
critical = st.builds(lambda day, by: day + by, changes, st.timedeltas(-DAY, 2 * DAY))


def ticks(timing: Timing, after: datetime, count: int) -> list[datetime]:
    """The first ticks after a time."""
    found = []
    for _ in range(count):
        after = timing.next(after)
        found.append(after)
    return found


def local(timing: Cron, after: datetime, until: datetime) -> list[str]:
    """The wall-clock times of the ticks between two instants, with their distance from UTC."""
    found = timing.latest(after=after, until=until, limit=100)
    return [f"{tick.astimezone(ZoneInfo(timing.zone)):%H:%M%z}" for tick in found]


# --- properties ---------------------------------------------------------------------------------------------------


@given(timings, moments | critical)
def test_next_tick_is_always_later(timing: Timing, after: datetime) -> None:
    assert timing.next(after) > after


@given(timings, moments | critical, st.floats(0, 1))
def test_whoever_asks_before_the_next_tick_hears_of_the_same_one(timing: Timing, after: datetime, part: float) -> None:
    """Nothing depends on when a worker was started."""
    tick = timing.next(after)
    between = min(after + (tick - after) * part, tick - timedelta(microseconds=1))

    assert timing.next(between) == tick


@given(timings, moments | critical, st.integers(1, 60), st.integers(1, 30))
def test_looking_back_finds_the_ticks_that_looking_forward_has_found(
    timing: Timing, after: datetime, count: int, limit: int
) -> None:
    """F93, F94: what was missed is neither skipped nor made up."""
    forward = ticks(timing, after, count)

    assert timing.latest(after=after, until=forward[-1], limit=1_000) == forward
    assert timing.latest(after=after, until=forward[-1], limit=limit) == forward[-limit:]


@given(timings, moments)
def test_ticks_are_in_utc(timing: Timing, after: datetime) -> None:
    """F76."""
    assert timing.next(after).tzinfo is UTC


@given(intervals, moments)
def test_ticks_of_an_interval_are_that_far_apart(timing: Every, after: datetime) -> None:
    first, second = ticks(timing, after, 2)

    assert second - first == timing.interval


# --- intervals ----------------------------------------------------------------------------------------------------


def test_an_hour_ticks_on_the_hour() -> None:
    assert Every(HOUR).next(datetime(2026, 5, 1, 12, 0, 1, tzinfo=UTC)) == datetime(2026, 5, 1, 13, tzinfo=UTC)


def test_years_of_missed_seconds_are_not_counted_one_by_one() -> None:
    found = Every(timedelta(seconds=1)).latest(after=SPRING - 3_650 * DAY, until=SPRING, limit=2)

    assert found == [SPRING - timedelta(seconds=1), SPRING]


# --- clocks that change -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "autumn"),
    [
        ("30 2 * * *", ["02:30+0200"]),
        ("*/30 2 * * *", ["02:00+0200", "02:30+0200"]),
        ("0 2,3 * * *", ["02:00+0200", "03:00+0100"]),
        ("0 */2 * * *", ["00:00+0200", "02:00+0200", "04:00+0100"]),
        ("30 * * * *", ["00:30+0200", "01:30+0200", "02:30+0200", "02:30+0100", "03:30+0100"]),
    ],
)
def test_wall_clock_time_that_comes_twice_ticks_once_unless_the_hour_is_any(expression: str, autumn: list[str]) -> None:
    """F92: on the autumn day 02:00 to 03:00 comes twice."""
    assert local(Cron(expression, BRUSSELS), AUTUMN - 2.25 * HOUR, AUTUMN + 3 * HOUR) == autumn


@pytest.mark.parametrize(
    ("expression", "spring"),
    [
        ("30 2 * * *", ["03:00+0200"]),
        ("*/30 2 * * *", ["03:00+0200"]),
        ("0 2,3 * * *", ["03:00+0200"]),
        ("30 * * * *", ["00:30+0100", "01:30+0100", "03:30+0200"]),
    ],
)
def test_wall_clock_time_that_is_left_out_ticks_when_the_clocks_go_on(expression: str, spring: list[str]) -> None:
    """F92: on the spring day 02:00 to 03:00 is left out."""
    assert local(Cron(expression, BRUSSELS), SPRING - 1.5 * HOUR, SPRING + 2 * HOUR) == spring


def test_working_days_are_those_of_the_time_zone() -> None:
    friday = datetime(2026, 5, 1, 12, tzinfo=UTC)

    found = ticks(Cron("0 6 * * 1-5", "Pacific/Auckland"), friday, 2)

    assert [f"{tick.astimezone(ZoneInfo('Pacific/Auckland')):%a %H:%M}" for tick in found] == ["Mon 06:00", "Tue 06:00"]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    ["", "0 6 * *", "0 0 6 * * 1", "60 * * * *", "0 25 * * *", "0 0 30 2 *", "0 0 * 2 MON#9", "@reboot", "a b c d e"],
)
def test_expression_that_makes_no_sense_is_refused(expression: str) -> None:
    with pytest.raises(InvalidOption, match="cron"):
        Cron(expression).check()


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "CEST-1"])
def test_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidOption, match="no time zone"):
        Cron("@daily", zone).check()


@pytest.mark.parametrize(
    ("alias", "expression"), [("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@weekly", "0 0 * * 0")]
)
def test_alias_is_its_expression(alias: str, expression: str) -> None:
    assert ticks(Cron(alias, BRUSSELS), AUTUMN, 9) == ticks(Cron(expression, BRUSSELS), AUTUMN, 9)


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(milliseconds=999), timedelta(seconds=-1)])
def test_interval_shorter_than_a_second_is_refused(interval: timedelta) -> None:
    with pytest.raises(InvalidOption, match="at least 1 second"):
        Every(interval)


@pytest.mark.parametrize(
    ("timing", "text"),
    [
        (Every(timedelta(minutes=90)), "every 1h30m"),
        (Every(timedelta(days=7, milliseconds=500)), "every 7d500ms"),
        (Cron("0 6 * * 1-5", BRUSSELS), "cron 0 6 * * 1-5 Europe/Brussels"),
    ],
)
def test_timing_says_what_it_is(timing: Timing, text: str) -> None:
    assert str(timing) == text
