"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.duration import MAX_DURATION, InvalidDuration, parse_duration

UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("30s", timedelta(seconds=30)),
        ("10m", timedelta(minutes=10)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1h30m", timedelta(minutes=90)),
        (" 1h 30m ", timedelta(minutes=90)),
        ("0.5d", timedelta(hours=12)),
        ("0s", timedelta(0)),
    ],
)
def test_text_means_what_it_says(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=6))
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)

    assert parse_duration(text) == sum((timedelta(**{UNITS[unit]: number}) for number, unit in parts), timedelta(0))


@given(st.timedeltas(min_value=timedelta(0), max_value=MAX_DURATION))
def test_timedelta_stays_as_it_is(duration: timedelta) -> None:
    assert parse_duration(duration) is duration


@pytest.mark.parametrize("text", ["", " ", "10", "s", "-5s", "1e3s", "nan", "inf", "1h,30m", "10 years", "1.s"])
def test_what_is_no_duration_is_refused_by_an_example(text: str) -> None:
    """F53: NaN, negative and infinite."""
    with pytest.raises(InvalidDuration, match="'1h30m'"):
        parse_duration(text)


@pytest.mark.parametrize("value", [30, 1.5, None, float("nan"), b"30s"])
def test_a_bare_number_is_refused_because_its_unit_is_anybodys_guess(value: object) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["365001d", "9" * 400 + "s", "1000000w", timedelta.max])
def test_more_than_a_thousand_years_is_refused(value: str | timedelta) -> None:
    """F55: durations beyond the platform's range."""
    with pytest.raises(InvalidDuration, match="1,000 years"):
        parse_duration(value)


def test_two_hundred_years_are_accepted() -> None:
    """F55."""
    assert parse_duration("73000d") == timedelta(days=73_000)


@given(st.timedeltas(max_value=timedelta(microseconds=-1)))
def test_negative_timedelta_is_refused(duration: timedelta) -> None:
    with pytest.raises(InvalidDuration, match="negative"):
        parse_duration(duration)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_within_bounds_or_refused(text: str) -> None:
    try:
        duration = parse_duration(text)
    except InvalidDuration:
        return
    assert timedelta(0) <= duration <= MAX_DURATION
