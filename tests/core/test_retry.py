"""When a failed step is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.retry import Retry, delay_after
from stepwell.errors import InvalidOption, InvalidValue, PayloadTooLarge, Permanent, RetryAfter

DURATIONS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10))
POLICIES = st.builds(
    Retry,
    st.integers(1, 10_000),
    first_delay=DURATIONS,
    max_delay=DURATIONS,
    factor=st.floats(1, 100),
)
CHANCE = st.floats(0, 1, exclude_max=True)


def most(policy: Retry, attempt: int) -> timedelta | None:
    """The longest delay there can be."""
    return delay_after(ValueError(), policy, attempt, random=lambda: 0.999_999)


@given(POLICIES, st.integers(1, 10_000), CHANCE)
def test_delay_is_never_negative_and_never_above_its_cap(policy: Retry, attempt: int, chance: float) -> None:
    delay = delay_after(ValueError(), policy, attempt, random=lambda: chance)

    assert (delay is None) == (attempt >= policy.max_attempts)
    assert delay is None or timedelta(0) <= delay <= policy.longest_delay(attempt) <= policy.max_delay


@given(POLICIES, st.integers(1, 9_999))
def test_bound_never_falls_from_one_attempt_to_the_next(policy: Retry, attempt: int) -> None:
    assert policy.longest_delay(attempt) <= policy.longest_delay(attempt + 1)


def test_bounds_grow_by_the_factor_up_to_the_longest() -> None:
    policy = Retry(10, first_delay="1s", max_delay="10s", factor=3)

    assert [policy.longest_delay(attempt).total_seconds() for attempt in (1, 2, 3, 4)] == [1, 3, 9, 10]


def test_delay_is_spread_over_the_whole_bound() -> None:
    policy = Retry(first_delay="8s")

    found = [delay_after(ValueError(), policy, 1, random=lambda at=at: at) for at in (0.0, 0.25, 0.5)]  # type: ignore[misc]

    assert found == [timedelta(0), timedelta(seconds=2), timedelta(seconds=4)]


def test_ten_thousand_attempts_at_the_steepest_factor_do_not_overflow() -> None:
    """F62."""
    policy = Retry(10_001, factor=100, first_delay="1d", max_delay="365000d")

    assert policy.longest_delay(10_000) == timedelta(days=365_000)
    assert most(policy, 10_000) is not None


def test_retries_end() -> None:
    """F62."""
    policy = Retry(3)

    assert [most(policy, attempt) is None for attempt in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize(
    "error",
    [
        Permanent("no"),
        InvalidValue(path="$", reason="is odd"),
        PayloadTooLarge(size_bytes=2, limit_bytes=1),
        InvalidOption("steps do not nest"),
    ],
)
def test_what_another_attempt_cannot_mend_is_not_retried(error: Exception) -> None:
    assert delay_after(error, Retry(), 1, random=lambda: 0.5) is None


def test_errors_to_give_up_on_are_not_retried_nor_are_their_subclasses() -> None:
    policy = Retry(give_up_on=(LookupError,))

    assert delay_after(KeyError("x"), policy, 1, random=lambda: 0.5) is None
    assert delay_after(ValueError("x"), policy, 1, random=lambda: 0.5) is not None


def test_an_error_may_set_the_delay_itself_beyond_the_policys_cap() -> None:
    policy = Retry(2, max_delay="1s")

    assert delay_after(RetryAfter("30s"), policy, 1, random=lambda: 0.0) == timedelta(seconds=30)
    assert delay_after(RetryAfter(90), policy, 2, random=lambda: 0.0) is None


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), 10**20, 8e13, "soon", "-1s", None])
def test_a_delay_that_no_clock_can_reach_is_refused(delay: Any) -> None:
    """F53, F55, F62: what a vendor sends as `Retry-After` is anybody's guess."""
    with pytest.raises(InvalidOption, match=r"RetryAfter\(.*\): .*('30s'|1,000 years)"):
        RetryAfter(delay)


@pytest.mark.parametrize("delay", [-1, -0.5, timedelta(days=-1)])
def test_a_time_that_has_passed_means_at_once(delay: float | timedelta) -> None:
    assert RetryAfter(delay).delay == timedelta(0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", -1),
        ("max_attempts", 2.5),
        ("max_attempts", "3"),
        ("first_delay", "soon"),
        ("first_delay", timedelta(seconds=-1)),
        ("max_delay", 30),
        ("factor", 0.5),
        ("factor", float("nan")),
        ("factor", float("inf")),
        ("factor", "2"),
        ("give_up_on", ValueError),
        ("give_up_on", ("ValueError",)),
    ],
)
def test_option_that_makes_no_sense_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(InvalidOption, match=option):
        Retry(**{option: value})  # type: ignore[arg-type]
